package gemini

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

// server answers each call with the next of its errors, then with the key and the length of the prompt.
type server struct {
	geminiv1.UnimplementedGenerativeServiceServer
	errs  []error
	calls atomic.Int32
	hang  bool
}

func (s *server) GenerateContent(
	ctx context.Context, request *geminiv1.GenerateContentRequest,
) (*geminiv1.GenerateContentResponse, error) {
	if err := s.next(ctx); err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	sent := len(request.GetContents()[0].GetParts()[0].GetText())
	return answer(fmt.Sprint(md.Get("x-goog-api-key"), " ", sent)), nil
}

// StreamGenerateContent does the same; for the model `late` it sends a message before it fails.
func (s *server) StreamGenerateContent(
	request *geminiv1.GenerateContentRequest, stream grpc.ServerStreamingServer[geminiv1.GenerateContentResponse],
) error {
	if request.GetModel() == "late" {
		_ = stream.Send(answer("one"))
	}
	if err := s.next(stream.Context()); err != nil {
		return err
	}
	return stream.Send(answer("two"))
}

// next returns the error of this call.
func (s *server) next(ctx context.Context) error {
	call := int(s.calls.Add(1))
	if s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if call > len(s.errs) {
		return nil
	}
	err := s.errs[call-1]
	var wait pushbackError
	if errors.As(err, &wait) {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", wait.wait))
	}
	return err
}

func answer(texts ...string) *geminiv1.GenerateContentResponse {
	content := &geminiv1.Content{}
	for _, text := range texts {
		content.Parts = append(content.Parts, &geminiv1.Part{Data: &geminiv1.Part_Text{Text: text}})
	}
	return &geminiv1.GenerateContentResponse{Candidates: []*geminiv1.Candidate{{Content: content}}}
}

// serve runs a server at a free port of the host, and returns its address.
func serve(t *testing.T, s *server, host string, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("cannot listen on %s: %v", host, err)
	}
	// More than the client sends, so that only the client's own limit counts.
	running := grpc.NewServer(append(options, grpc.MaxRecvMsgSize(1<<30))...)
	geminiv1.RegisterGenerativeServiceServer(running, s)
	go func() { _ = running.Serve(listener) }()
	t.Cleanup(running.Stop)
	return listener.Addr().String()
}

func connect(t *testing.T, endpoint string, options ...Option) *Client {
	t.Helper()
	client, err := NewClient(endpoint, "a-key", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// call returns the text of an answer within 10 seconds.
func call(t *testing.T, client *Client, prompt string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := client.GenerateContent(ctx, Prompt("gemini-2.5-flash", prompt))
	return Text(answer), err
}

// certificate returns the options of a server with TLS for localhost, and the file of its CA.
func certificate(t *testing.T) (grpc.ServerOption, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return grpc.Creds(credentials.NewServerTLSFromCert(&pair)), file
}

func TestAnAnswerOnLoopbackNeedsNoTLSAndSendsTheKey(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		t.Run(host, func(t *testing.T) {
			address := serve(t, &server{}, host)
			for _, endpoint := range []string{address, "http://" + address, "http://" + address + "/"} {
				if text, err := call(t, connect(t, endpoint), "hi"); err != nil || text != "[a-key] 2" {
					t.Errorf("%s: %q, %v", endpoint, text, err)
				}
			}
		})
	}
}

func TestTLSIsUsedWithACAFileOrHTTPS(t *testing.T) {
	secure, ca := certificate(t)
	port := portOf(serve(t, &server{}, "127.0.0.1", secure))
	for _, endpoint := range []string{"localhost" + port, "https://localhost" + port} {
		if text, err := call(t, connect(t, endpoint, WithCAFile(ca)), "hi"); err != nil || text != "[a-key] 2" {
			t.Errorf("%s: %q, %v", endpoint, text, err)
		}
	}
}

func TestAConnectionThatCannotBeMadeSaysWhy(t *testing.T) {
	secure, ca := certificate(t)
	tlsPort := portOf(serve(t, &server{}, "127.0.0.1", secure))
	plaintextPort := portOf(serve(t, &server{}, "127.0.0.1"))
	for _, each := range []struct {
		client *Client
		want   string
	}{
		{connect(t, "https://localhost"+tlsPort), "certificate signed by unknown authority"},
		{connect(t, "127.0.0.1"+tlsPort, WithCAFile(ca)), "cannot validate certificate for 127.0.0.1"},
		{connect(t, "localhost"+tlsPort), "error reading server preface"},
		{connect(t, "https://localhost"+plaintextPort), "first record does not look like a TLS handshake"},
		{connect(t, "127.0.0.1:1"), "connection refused"},
	} {
		// Each waits for its retries.
		t.Run(each.want, func(t *testing.T) {
			t.Parallel()
			_, err := call(t, each.client, "hi")
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), each.want) {
				t.Error(err)
			}
		})
	}
}

func portOf(address string) string {
	return address[strings.LastIndex(address, ":"):]
}

func TestTheSchemeDecidesAboutTLSAndOtherwiseTheHost(t *testing.T) {
	for _, each := range []struct {
		endpoint string
		hasCA    bool
		address  string
		isTLS    bool
	}{
		{"gateway.example.com:443", false, "gateway.example.com:443", true},
		{"localhost.example.com:50051", false, "localhost.example.com:50051", true},
		{"10.0.0.7:50051", false, "10.0.0.7:50051", true},
		{"[2001:db8::7]:50051", false, "[2001:db8::7]:50051", true},
		{"http://10.0.0.7:50051", false, "10.0.0.7:50051", false},
		{"https://127.0.0.1:50051/", false, "127.0.0.1:50051", true},
		{"localhost:50051", false, "localhost:50051", false},
		{"LOCALHOST:50051", false, "LOCALHOST:50051", false},
		{"127.9.9.9:50051", false, "127.9.9.9:50051", false},
		{"[::1]:50051", false, "[::1]:50051", false},
		{"[::1]:50051", true, "[::1]:50051", true},
		{"localhost:50051", true, "localhost:50051", true},
	} {
		address, isTLS, err := parse(each.endpoint, each.hasCA)
		if err != nil || address != each.address || isTLS != each.isTLS {
			t.Errorf("%s: %s, TLS %t, %v", each.endpoint, address, isTLS, err)
		}
	}
}

func TestAnEndpointThatIsNoneIsRefusedWithoutQuotingIt(t *testing.T) {
	for _, endpoint := range []string{
		"", "AIza-a-key", "localhost", "localhost:", ":50051", "localhost:http", "localhost:65536", "::1:50051",
		"https://localhost", "https://localhost:1/gemini", "https://user@localhost:1", "https://localhost:1?a=b",
		"grpc://localhost:1", "dns:///localhost:1", "local host:1", "https://localhost:1#a",
	} {
		_, err := NewClient(endpoint, "a-key")
		if err == nil || strings.Contains(err.Error(), "AIza") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

func TestACAFileThatCannotBeUsedIsRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, each := range []struct{ endpoint, ca, want string }{
		{"localhost:1", "no-such-file", "cannot read the CA file"},
		{"localhost:1", empty, "contains no certificate"},
		{"http://localhost:1", empty, "a CA file is for TLS"},
	} {
		_, err := NewClient(each.endpoint, "", WithCAFile(each.ca))
		if err == nil || !strings.Contains(err.Error(), each.want) {
			t.Errorf("want %q: %v", each.want, err)
		}
	}
}

func TestNoKeyIsSentIfThereIsNone(t *testing.T) {
	client, err := NewClient(serve(t, &server{}, "127.0.0.1"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if text, err := call(t, client, "hi"); err != nil || text != "[] 2" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAMessageUpToTheLimitIsSentReceivedAndRetried(t *testing.T) {
	s := &server{errs: []error{errUnavailable}}
	client := connect(t, serve(t, s, "127.0.0.1"))
	text, err := call(t, client, strings.Repeat("x", 5<<20))
	if err != nil || text != "[a-key] 5242880" || s.calls.Load() != 2 {
		t.Errorf("%q after %d calls, %v", text, s.calls.Load(), err)
	}
	if _, err := call(t, client, strings.Repeat("x", MaxMessageBytes)); status.Code(err) != codes.ResourceExhausted {
		t.Error(err)
	}
}

// pushbackError says how many milliseconds a client should wait before a retry; a negative number forbids it.
type pushbackError struct {
	*status.Status
	wait string
}

var errUnavailable = pushback(codes.Unavailable, "1")

func pushback(code codes.Code, wait string) error {
	return pushbackError{status.New(code, "try later"), wait}
}

func (e pushbackError) Error() string              { return e.Message() }
func (e pushbackError) GRPCStatus() *status.Status { return e.Status }

func TestUnavailableIsTriedThreeTimesAndNothingElseIsRetried(t *testing.T) {
	for _, each := range []struct {
		err  error
		want int32
	}{
		{errUnavailable, 3},
		{pushback(codes.Unavailable, "-1"), 1},
		{pushback(codes.ResourceExhausted, "1"), 1},
		{status.Error(codes.DeadlineExceeded, ""), 1},
		{status.Error(codes.Internal, ""), 1},
	} {
		s := &server{errs: []error{each.err, each.err, each.err, each.err}}
		_, err := call(t, connect(t, serve(t, s, "127.0.0.1")), "hi")
		why, want := Explain(err), Explain(each.err)
		if why.Code != want.Code || why.Message != want.Message || s.calls.Load() != each.want {
			t.Errorf("%v: %d calls, %v", each.err, s.calls.Load(), err)
		}
	}
}

func TestAStreamIsRetriedOnlyBeforeItsFirstMessage(t *testing.T) {
	for _, each := range []struct {
		model string
		calls int32
		text  string
		end   error
	}{{"early", 2, "two", io.EOF}, {"late", 1, "one", errUnavailable}} {
		s := &server{errs: []error{errUnavailable}}
		client := connect(t, serve(t, s, "127.0.0.1"))
		stream, err := client.StreamGenerateContent(t.Context(), Prompt(each.model, "hi"))
		var text string
		for err == nil {
			var chunk *geminiv1.GenerateContentResponse
			chunk, err = stream.Recv()
			text += Text(chunk)
		}
		if Explain(err).Code != Explain(each.end).Code || text != each.text || s.calls.Load() != each.calls {
			t.Errorf("%s: %q after %d calls, %v", each.model, text, s.calls.Load(), err)
		}
	}
}

func TestADeadlineAndACancelEndACall(t *testing.T) {
	client := connect(t, serve(t, &server{hang: true}, "127.0.0.1"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.GenerateContent(ctx, Prompt("m", "hi")); Explain(err).Code != codes.DeadlineExceeded {
		t.Error(err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := client.GenerateContent(ctx, Prompt("m", "hi")); Explain(err).Code != codes.Canceled {
		t.Error(err)
	}
}

func TestDialOptionsTakePrecedence(t *testing.T) {
	s := &server{}
	small := grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(100))
	client := connect(t, serve(t, s, "127.0.0.1"), WithDialOptions(small))
	_, err := call(t, client, strings.Repeat("x", 100))
	if status.Code(err) != codes.ResourceExhausted || s.calls.Load() != 0 {
		t.Error(err)
	}
}

func TestAnErrorIsExplained(t *testing.T) {
	st, err := status.New(codes.InvalidArgument, "the request breaks 2 rules").WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "a"}, {Field: "b"}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(3500 * time.Millisecond)},
		&errdetails.RequestInfo{RequestId: "an-id"},
		&errdetails.ErrorInfo{Reason: "REQUEST_INVALID", Domain: "gemini-grpc"},
	)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{errs: []error{st.Err()}}
	_, err = call(t, connect(t, serve(t, s, "127.0.0.1")), "hi")
	for _, err := range []error{err, fmt.Errorf("wrapped: %w", err)} {
		e := Explain(err)
		if e.Code != codes.InvalidArgument || e.Message != "the request breaks 2 rules" ||
			e.Reason != "REQUEST_INVALID" || e.Domain != "gemini-grpc" || e.RequestID != "an-id" ||
			*e.RetryDelay != 3500*time.Millisecond || len(e.Violations) != 2 || e.Violations[1].GetField() != "b" {
			t.Errorf("%+v", e)
		}
	}
	if e := Explain(context.DeadlineExceeded); e.Code != codes.DeadlineExceeded || e.RetryDelay != nil {
		t.Errorf("%+v", e)
	}
	if e := Explain(errors.New("other")); e.Code != codes.Unknown || e.Message != "other" {
		t.Errorf("%+v", e)
	}
	if e := Explain(nil); e.Code != codes.OK {
		t.Errorf("%+v", e)
	}
}

func TestTheTextIsThatOfTheFirstCandidateWithoutThoughts(t *testing.T) {
	said := answer("a thought", "one ", "two")
	said.Candidates[0].Content.Parts[0].Thought = true
	said.Candidates = append(said.Candidates, answer("other").GetCandidates()...)
	if text := Text(said); text != "one two" {
		t.Error(text)
	}
	for _, empty := range []*geminiv1.GenerateContentResponse{nil, {}, {Candidates: []*geminiv1.Candidate{{}}}} {
		if text := Text(empty); text != "" {
			t.Error(text)
		}
	}
}

func TestTheRetryPolicyIsTheOneOfTheContract(t *testing.T) {
	of, err := os.ReadFile("../../proto/service_config.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("only in a checkout of the repository")
	}
	if err != nil || string(of) != serviceConfig {
		t.Errorf("copy proto/service_config.json to clients/go: %v", err)
	}
}
