package ai.mountsea.gemini;

import com.google.gson.Gson;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Channels to gemini-grpc, and what its errors say. */
public final class Gemini {
    /** The largest response that a channel accepts, in bytes. A picture can exceed gRPC's default of 4 MiB. */
    public static final int MAX_RESPONSE_BYTES = 64 << 20;

    /** The most bytes of a request that are kept for retries. */
    private static final long MAX_RETRY_BYTES = 64 << 20;

    private static final Metadata.Key<String> API_KEY =
            Metadata.Key.of("x-goog-api-key", Metadata.ASCII_STRING_MARSHALLER);

    private Gemini() {}

    /** A channel to an endpoint, which trusts the authorities that Java trusts; see {@link #builder}. */
    public static ManagedChannel connect(String endpoint, String key) {
        return connect(endpoint, key, null);
    }

    /** A channel to an endpoint, which trusts the authorities in a PEM file; see {@link #builder}. */
    public static ManagedChannel connect(String endpoint, String key, File ca) {
        return builder(endpoint, key, ca).build();
    }

    /**
     * A channel that can be changed before it is built, for example to trace its calls.
     *
     * @param endpoint {@code HOST:PORT}, {@code http://HOST:PORT} or {@code https://HOST:PORT}. Without a scheme, the
     *     channel uses TLS if there is a {@code ca}, or if the host is not loopback.
     * @param key sent with each call: an API key, or a token of the gateway
     * @param ca a PEM file with the authorities to trust, or null for those that Java trusts
     * @throws IllegalArgumentException if the endpoint has another form
     * @throws UncheckedIOException if the file cannot be read
     */
    public static ManagedChannelBuilder<?> builder(String endpoint, String key, File ca) {
        URI uri = URI.create(endpoint.contains("://") ? endpoint : "none://" + endpoint);
        if (uri.getHost() == null || !uri.getScheme().matches("none|https?")) {
            throw new IllegalArgumentException("not HOST:PORT, http://HOST:PORT or https://HOST:PORT: " + endpoint);
        }
        boolean loopback = uri.getHost().matches("(?i)localhost|127(\\.\\d+){3}|\\[::1]");
        boolean tls = uri.getScheme().equals("none") ? ca != null || !loopback : uri.getScheme().equals("https");
        Metadata headers = new Metadata();
        headers.put(API_KEY, key);
        ChannelCredentials credentials = tls ? trust(ca) : InsecureChannelCredentials.create();
        return Grpc.newChannelBuilder("dns:///" + uri.getAuthority(), credentials)
                .intercept(MetadataUtils.newAttachHeadersInterceptor(headers))
                .maxInboundMessageSize(MAX_RESPONSE_BYTES)
                .keepAliveTime(60, TimeUnit.SECONDS)
                .keepAliveTimeout(20, TimeUnit.SECONDS)
                .defaultServiceConfig(serviceConfig())
                .perRpcBufferLimit(MAX_RETRY_BYTES)
                .retryBufferSize(4 * MAX_RETRY_BYTES);
    }

    /** Why a call failed, from what a stub threw or passed to {@code onError}. */
    public static Failure explain(Throwable error) {
        return Failure.of(error);
    }

    private static ChannelCredentials trust(File ca) {
        try {
            return ca == null
                    ? TlsChannelCredentials.create()
                    : TlsChannelCredentials.newBuilder().trustManager(ca).build();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Retries UNAVAILABLE only: whether another error is worth a retry, which may be billed, is the caller's choice. */
    @SuppressWarnings("unchecked")
    private static Map<String, ?> serviceConfig() {
        try (var json = new InputStreamReader(
                Gemini.class.getResourceAsStream("service_config.json"), StandardCharsets.UTF_8)) {
            return new Gson().fromJson(json, Map.class);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
