// Runs what the README of clients/go shows after its first program: the lines of each of its blocks are in this file.
package readme

import (
	"context"
	"log"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	gemini "github.com/mountsea/gemini-grpc/clients/go"
	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

// The gateway, and a key that it accepts.
var endpoint, key = os.Getenv("ENDPOINT"), os.Getenv("KEY")

func connect(t *testing.T) *gemini.Client {
	t.Helper()
	client, err := gemini.NewClient(endpoint, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestTLS(t *testing.T) {
	t.Chdir(t.TempDir())
	client, err := gemini.NewClient("gateway.example.com:443", key, gemini.WithCAFile("ca.pem"))
	if client != nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Error(err)
	}
}

func TestDeadline(t *testing.T) {
	client, ctx, request := connect(t), context.Background(), gemini.Prompt("gemini-2.5-flash", "hi")
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	answer, err := client.GenerateContent(ctx, request)
	if err != nil || gemini.Text(answer) == "" {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	var logged strings.Builder
	log.SetOutput(&logged)
	for _, model := range []string{"an invalid name", "sandbox-429"} {
		_, err := connect(t).GenerateContent(context.Background(), gemini.Prompt(model, "hi"))
		why := gemini.Explain(err)
		log.Printf("%v, %s, request %s", why.Code, why.Reason, why.RequestID)
		for _, violation := range why.Violations {
			log.Printf("%s: %s", violation.GetField(), violation.GetDescription())
		}
		if why.RetryDelay != nil {
			log.Printf("a retry is advised after %v", *why.RetryDelay)
		}
	}
	for _, text := range []string{"InvalidArgument, REQUEST_INVALID", " model: ", "ResourceExhausted, ", " after 3.5s"} {
		if !strings.Contains(logged.String(), text) {
			t.Errorf("%q is missing in:\n%s", text, logged.String())
		}
	}
}

func TestAWrongKeyIsExplained(t *testing.T) {
	client, err := gemini.NewClient(endpoint, "bad-key")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.GenerateContent(context.Background(), gemini.Prompt("gemini-2.5-flash", "hi"))
	why := gemini.Explain(err)
	if why.Code != codes.Unauthenticated || why.RequestID == "" || strings.Contains(why.Message, "bad-key") {
		t.Errorf("%+v", why)
	}
}

func TestTracing(t *testing.T) {
	parents := make(chan []string, 1)
	endpoint := serve(t, func(_ any, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		parents <- md.Get("traceparent")
		return nil
	})
	otel.SetTextMapPropagator(propagation.TraceContext{})
	tracing := grpc.WithStatsHandler(otelgrpc.NewClientHandler())
	client, err := gemini.NewClient(endpoint, key, gemini.WithDialOptions(tracing))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})
	ctx := trace.ContextWithSpanContext(context.Background(), span)
	_, _ = client.GenerateContent(ctx, gemini.Prompt("gemini-2.5-flash", "hi"))
	if sent := <-parents; len(sent) != 1 || !strings.Contains(sent[0], span.TraceID().String()) {
		t.Error(sent)
	}
}

// serve runs a server that handles each call by the handler, and returns its address.
func serve(t *testing.T, handler grpc.StreamHandler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(handler))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func TestCheckBeforeSending(t *testing.T) {
	check := func(request *geminiv1.GenerateContentRequest) error {
		if err := protovalidate.Validate(request); err != nil {
			return err
		}
		return nil
	}
	request := gemini.Prompt("gemini-2.5-flash", "hi")
	if err := check(request); err != nil {
		t.Error(err)
	}
	request.GenerationConfig = &geminiv1.GenerationConfig{Temperature: proto.Float32(3)}
	if err := check(request); err == nil || !strings.Contains(err.Error(), "generation_config.temperature") {
		t.Error(err)
	}
}
