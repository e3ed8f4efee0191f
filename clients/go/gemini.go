package gemini

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

// MaxMessageBytes limits each message that is sent or received. A 4K picture is larger than gRPC's
// own default of 4 MiB for received messages, and an answer that is rejected for its size is billed.
const MaxMessageBytes = 64 << 20

// The retry policy: UNAVAILABLE only. Any other code may have been billed.
//
//go:embed service_config.json
var serviceConfig string

// Client has the methods of GenerativeService and ModelService. It is safe for concurrent use; one
// per process is enough.
type Client struct {
	geminiv1.GenerativeServiceClient
	geminiv1.ModelServiceClient
	// Conn is the connection, for the clients of other services.
	Conn *grpc.ClientConn
}

// An Option changes how [NewClient] connects.
type Option func(*settings)

type settings struct {
	caFile string
	dial   []grpc.DialOption
}

// WithCAFile trusts only the certificate authorities in this PEM file, in place of the system's. An
// empty name changes nothing.
func WithCAFile(name string) Option {
	return func(s *settings) { s.caFile = name }
}

// WithDialOptions adds options of grpc-go, which take precedence over those of this package.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// NewClient returns a client of the gateway at endpoint: HOST:PORT, http://HOST:PORT for plaintext
// or https://HOST:PORT for TLS. Without a scheme it uses TLS if there is a CA file, or if the host
// is not loopback. Each call sends the key as x-goog-api-key; an empty key is not sent.
//
// It does not connect yet: a call does, and fails with UNAVAILABLE if it cannot.
func NewClient(endpoint, key string, options ...Option) (*Client, error) {
	var s settings
	for _, option := range options {
		option(&s)
	}
	address, isTLS, err := parse(endpoint, s.caFile != "")
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if isTLS {
		if transport, err = tlsCredentials(s.caFile); err != nil {
			return nil, err
		}
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageBytes),
			grpc.MaxCallSendMsgSize(MaxMessageBytes),
			// By default, grpc-go does not retry a request over 256 KiB, such as one with a picture.
			grpc.MaxRetryRPCBufferSize(MaxMessageBytes),
		),
		// Only while calls are open: the gateway closes idle connections, and clients reconnect.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.WithDefaultServiceConfig(serviceConfig),
		// A TXT record in DNS would replace the retry policy.
		grpc.WithDisableServiceConfig(),
	}
	if key != "" {
		dial = append(dial, grpc.WithPerRPCCredentials(apiKey(key)))
	}
	target := url.URL{Scheme: "dns", Path: "/" + address}
	conn, err := grpc.NewClient(target.String(), append(dial, s.dial...)...)
	if err != nil {
		return nil, err
	}
	return &Client{geminiv1.NewGenerativeServiceClient(conn), geminiv1.NewModelServiceClient(conn), conn}, nil
}

// Close closes the connection. Open calls end with CANCELLED.
func (c *Client) Close() error { return c.Conn.Close() }

// parse returns the address in an endpoint, and whether it is to be reached with TLS. Its errors do
// not quote the endpoint, which is the key if a caller has swapped the two.
func parse(endpoint string, hasCA bool) (address string, isTLS bool, err error) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "//" + endpoint
	}
	u, err := url.Parse(strings.TrimSuffix(endpoint, "/"))
	if err != nil || u.Hostname() == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
		return "", false, errors.New("gemini: the endpoint must be HOST:PORT, http://HOST:PORT or https://HOST:PORT")
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return "", false, errors.New("gemini: the endpoint needs a port, as in localhost:50051 or [::1]:50051")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", false, errors.New("gemini: the port of the endpoint must be a number up to 65535")
	}
	switch u.Scheme {
	case "https":
		isTLS = true
	case "http":
		if hasCA {
			return "", false, errors.New("gemini: a CA file is for TLS, but the endpoint is http://")
		}
	case "":
		isTLS = hasCA || !strings.EqualFold(host, "localhost") && !net.ParseIP(host).IsLoopback()
	default:
		return "", false, errors.New("gemini: the scheme of the endpoint must be http or https")
	}
	return u.Host, isTLS, nil
}

func tlsCredentials(caFile string) (credentials.TransportCredentials, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("gemini: cannot read the CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("gemini: the CA file %s contains no certificate in PEM", caFile)
		}
	}
	return credentials.NewTLS(config), nil
}

// apiKey sends itself with every call, also in plaintext: NewClient uses that for loopback, or if
// the endpoint asks for it.
type apiKey string

func (k apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"x-goog-api-key": string(k)}, nil
}

func (apiKey) RequireTransportSecurity() bool { return false }
