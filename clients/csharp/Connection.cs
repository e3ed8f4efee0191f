using System;
using System.Net;
using System.Net.Http;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;
using Grpc.Net.Client.Configuration;
using Mountsea.Gemini.V1;

namespace Mountsea.Gemini;

/// <summary>
/// A connection to the gateway, and clients that use it. The messages of the contract are in Mountsea.Gemini.V1.
/// </summary>
public sealed class Connection : IDisposable
{
    /// <summary>
    /// The largest message in bytes that is received: a picture may be larger than the default of 4 MiB, and a response that
    /// the client rejects is billed all the same.
    /// </summary>
    public const int MaxMessageBytes = 64 << 20;

    private readonly GrpcChannel channel;

    /// <summary>
    /// Connects to the gateway at HOST:PORT, or at a URL with the scheme http or https, and sends the key with each call.
    /// </summary>
    /// <remarks>
    /// Without a scheme it uses TLS if there is a CA, or if the host is not loopback.
    /// </remarks>
    /// <param name="endpoint">The address of the gateway.</param>
    /// <param name="key">The API key. It is sent as metadata x-goog-api-key.</param>
    /// <param name="caFile">Certificates in PEM. Without them the system's authorities are trusted.</param>
    public Connection(string endpoint, string key, string? caFile = null)
    {
        var handler = new SocketsHttpHandler
        {
            EnableMultipleHttp2Connections = true,
            // Only while calls are open: a connection without any may be closed by the gateway.
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(20),
        };
        if (caFile != null)
        {
            var policy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
            };
            policy.CustomTrustStore.ImportFromPemFile(caFile);
            handler.SslOptions.CertificateChainPolicy = policy;
        }

        channel = GrpcChannel.ForAddress(UrlOf(endpoint, caFile != null), new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = MaxMessageBytes,
            // A larger request would not be retried.
            MaxRetryBufferPerCallSize = MaxMessageBytes,
            MaxRetryBufferSize = 4L * MaxMessageBytes,
            ServiceConfig = new ServiceConfig { MethodConfigs = { RetryUnavailable } },
        });
        var invoker = channel.Intercept(metadata =>
        {
            metadata.Add("x-goog-api-key", key);
            return metadata;
        });
        Generative = new GenerativeService.GenerativeServiceClient(invoker);
        Models = new ModelService.ModelServiceClient(invoker);
    }

    /// <summary>The client that generates.</summary>
    public GenerativeService.GenerativeServiceClient Generative { get; }

    /// <summary>The client that lists models.</summary>
    public ModelService.ModelServiceClient Models { get; }

    /// <summary>Ends the connection and its open calls.</summary>
    public void Dispose() => channel.Dispose();

    // The policy of proto/service_config.json. A retry does not happen if the gateway says that it is of no use.
    private static MethodConfig RetryUnavailable => new()
    {
        Names =
        {
            new MethodName { Service = "mountsea.gemini.v1.GenerativeService" },
            new MethodName { Service = "mountsea.gemini.v1.ModelService" },
        },
        RetryPolicy = new RetryPolicy
        {
            MaxAttempts = 3,
            InitialBackoff = TimeSpan.FromSeconds(0.5),
            MaxBackoff = TimeSpan.FromSeconds(5),
            BackoffMultiplier = 2,
            RetryableStatusCodes = { StatusCode.Unavailable },
        },
    };

    private static string UrlOf(string endpoint, bool hasCa)
    {
        if (endpoint.Contains("://"))
        {
            return endpoint;
        }
        var host = new Uri($"http://{endpoint}").DnsSafeHost;
        var loopback = host == "localhost" || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
        return (hasCa || !loopback ? "https://" : "http://") + endpoint;
    }
}
