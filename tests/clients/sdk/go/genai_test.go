// Google's unmodified REST SDK for Go, against the gateway.
//
// SERVICE is the base URL of a gateway in front of the sandbox, RELAY of one in front of the double at UPSTREAM.
package suite

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genai"
)

const (
	textModel  = "gemini-2.5-flash"
	imageModel = "gemini-2.5-flash-image"
)

func clientOf(t *testing.T, baseURL, key string, headers http.Header) *genai.Client {
	t.Helper()
	client, err := genai.NewClient(t.Context(), &genai.ClientConfig{
		APIKey:      key,
		Backend:     genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{BaseURL: baseURL, Headers: headers},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func service(t *testing.T) *genai.Client { return clientOf(t, os.Getenv("SERVICE"), "a-key", nil) }
func relay(t *testing.T) *genai.Client   { return clientOf(t, os.Getenv("RELAY"), "a-key", nil) }

func generate(t *testing.T, contents []*genai.Content, config *genai.GenerateContentConfig) *genai.GenerateContentResponse {
	t.Helper()
	model := textModel
	if config != nil && config.ImageConfig != nil {
		model = imageModel
	}
	answer, err := service(t).Models.GenerateContent(t.Context(), model, contents, config)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// The chunks of a stream, and its error.
func read(ctx context.Context, client *genai.Client, model, text string) (chunks []*genai.GenerateContentResponse, failed error) {
	for chunk, err := range client.Models.GenerateContentStream(ctx, model, genai.Text(text), nil) {
		if err != nil {
			return chunks, err
		}
		chunks = append(chunks, chunk)
	}
	return chunks, nil
}

func textOf(chunks []*genai.GenerateContentResponse) string {
	var text strings.Builder
	for _, chunk := range chunks {
		text.WriteString(chunk.Text())
	}
	return text.String()
}

func refusal(t *testing.T, err error, code int, status string) genai.APIError {
	t.Helper()
	var refused genai.APIError
	if !errors.As(err, &refused) {
		t.Fatalf("%T: %v", err, err)
	}
	if refused.Code != code || refused.Status != status {
		t.Fatalf("%d %s is not %d %s: %s", refused.Code, refused.Status, code, status, refused.Message)
	}
	return refused
}

func detail(t *testing.T, refused genai.APIError, name string) map[string]any {
	t.Helper()
	for _, detail := range refused.Details {
		if strings.HasSuffix(detail["@type"].(string), "."+name) {
			return detail
		}
	}
	t.Fatalf("no %s in %v", name, refused.Details)
	return nil
}

func assertContains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Fatalf("%q does not contain %q", text, part)
	}
}

// Waits until the call of that model has arrived upstream, or was cancelled there.
func assertUpstream(t *testing.T, event, model string) {
	t.Helper()
	response, err := http.Get(os.Getenv("UPSTREAM") + "/" + event + "/" + model)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("the call of %s was not %s", model, event)
	}
}

func TestATextIsGenerated(t *testing.T) {
	answer := generate(t, genai.Text("hello there"), nil)
	assertContains(t, answer.Text(), `[sandbox] You said "hello there"`)
	if answer.Candidates[0].FinishReason != genai.FinishReasonStop || answer.UsageMetadata.PromptTokenCount != 2 {
		t.Fatalf("%+v", answer)
	}
}

func TestATextIsStreamed(t *testing.T) {
	chunks, err := read(t.Context(), service(t), textModel, "hello there")
	if err != nil || len(chunks) <= 5 {
		t.Fatal(len(chunks), err)
	}
	if whole := generate(t, genai.Text("hello there"), nil).Text(); textOf(chunks) != whole {
		t.Fatalf("%q is not %q", textOf(chunks), whole)
	}
	if last := chunks[len(chunks)-1]; last.Candidates[0].FinishReason != genai.FinishReasonStop {
		t.Fatalf("%+v", last)
	}
}

func TestAChatRemembersItsEarlierMessages(t *testing.T) {
	chat, err := service(t).Chats.Create(t.Context(), textModel, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chat.SendMessage(t.Context(), genai.Part{Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for chunk, err := range chat.SendMessageStream(t.Context(), genai.Part{Text: "again"}) {
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(chunk.Text())
	}
	assertContains(t, text.String(), "again")
	answer, err := chat.SendMessage(t.Context(), genai.Part{Text: "third"})
	if err != nil {
		t.Fatal(err)
	}
	assertContains(t, answer.Text(), "third")
}

func pictureOf(t *testing.T, answer *genai.GenerateContentResponse) []byte {
	t.Helper()
	for _, part := range answer.Candidates[0].Content.Parts {
		if part.InlineData != nil && !part.Thought {
			if !bytes.HasPrefix(part.InlineData.Data, []byte("\x89PNG")) {
				t.Fatal("not a PNG")
			}
			return part.InlineData.Data
		}
	}
	t.Fatal("no picture")
	return nil
}

func TestAnImageIsGeneratedAndEdited(t *testing.T) {
	config := &genai.GenerateContentConfig{ImageConfig: &genai.ImageConfig{AspectRatio: "4:3"}}
	made := pictureOf(t, generate(t, genai.Text("a lighthouse"), config))
	if binary.BigEndian.Uint32(made[16:])*3 != binary.BigEndian.Uint32(made[20:])*4 {
		t.Fatal("not 4:3")
	}
	parts := []*genai.Part{genai.NewPartFromBytes(made, "image/png"), genai.NewPartFromText("at night")}
	edited := pictureOf(t, generate(t, []*genai.Content{genai.NewContentFromParts(parts, genai.RoleUser)}, config))
	if !bytes.Equal(edited[16:24], made[16:24]) || bytes.Equal(edited, made) {
		t.Fatal("not edited")
	}
}

// This SDK does not call functions by itself.
func TestAFunctionIsCalledAndItsResultIsAnswered(t *testing.T) {
	declaration := &genai.FunctionDeclaration{
		Name:        "weather",
		Description: "The weather",
		Parameters: &genai.Schema{
			Type:       genai.TypeObject,
			Properties: map[string]*genai.Schema{"city": {Type: genai.TypeString}},
		},
	}
	config := &genai.GenerateContentConfig{
		Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{declaration}}},
	}
	question := genai.Text("Paris please")
	first := generate(t, question, config)
	calls := first.FunctionCalls()
	if len(calls) != 1 || calls[0].Name != "weather" {
		t.Fatalf("%+v", calls)
	}
	assertContains(t, calls[0].Args["city"].(string), "Paris")
	result := genai.NewContentFromFunctionResponse(calls[0].Name, map[string]any{"degrees": 21.5}, genai.RoleUser)
	result.Parts[0].FunctionResponse.ID = calls[0].ID
	answer := generate(t, append(question, first.Candidates[0].Content, result), config)
	assertContains(t, answer.Text(), "weather")
}

func TestStructuredOutputIsGenerated(t *testing.T) {
	city := &genai.Schema{
		Type:       genai.TypeObject,
		Properties: map[string]*genai.Schema{"name": {Type: genai.TypeString}, "people": {Type: genai.TypeInteger}},
	}
	answer := generate(t, genai.Text("cities"), &genai.GenerateContentConfig{
		ResponseMIMEType: "application/json",
		ResponseSchema:   &genai.Schema{Type: genai.TypeArray, Items: city},
	})
	var cities []struct {
		Name   string
		People int
	}
	if err := json.Unmarshal([]byte(answer.Text()), &cities); err != nil || cities[0].Name == "" {
		t.Fatal(answer.Text(), err)
	}
	answer = generate(t, genai.Text("animals"), &genai.GenerateContentConfig{
		ResponseMIMEType:   "application/json",
		ResponseJsonSchema: map[string]any{"type": "object", "properties": map[string]any{"ant": map[string]any{"type": "string"}}},
	})
	assertContains(t, answer.Text(), `"ant"`)
}

func TestModelsAreListedAndDescribed(t *testing.T) {
	for _, client := range []*genai.Client{service(t), relay(t)} {
		var names, paged []string
		for model, err := range client.Models.All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, model.Name)
		}
		page, err := client.Models.List(t.Context(), &genai.ListModelsConfig{PageSize: 2})
		for err == nil {
			for _, model := range page.Items {
				paged = append(paged, model.Name)
			}
			page, err = page.Next(t.Context())
		}
		if !errors.Is(err, genai.ErrPageDone) || !slices.Equal(names, paged) || !slices.Contains(names, "models/"+imageModel) {
			t.Fatal(err, names, paged)
		}
		model, err := client.Models.Get(t.Context(), imageModel, nil)
		if err != nil || model.Name != "models/"+imageModel || !slices.Contains(model.SupportedActions, "generateContent") {
			t.Fatal(model, err)
		}
	}
}

func TestTokensAreCountedAndTextsAreEmbedded(t *testing.T) {
	counted, err := service(t).Models.CountTokens(t.Context(), textModel, genai.Text("hello there"), nil)
	if err != nil || counted.TotalTokens != 2 {
		t.Fatal(counted, err)
	}
	texts := append(genai.Text("hello"), genai.Text("there")...)
	embedded, err := service(t).Models.EmbedContent(t.Context(), "gemini-embedding-001", texts, nil)
	if err != nil || len(embedded.Embeddings) != 2 || len(embedded.Embeddings[1].Values) == 0 {
		t.Fatal(embedded, err)
	}
}

func TestWhatUpstreamDoesNotOfferIsRefused(t *testing.T) {
	_, err := relay(t).Models.CountTokens(t.Context(), textModel, genai.Text("hello"), nil)
	assertContains(t, refusal(t, err, 501, "UNIMPLEMENTED").Message, " ")
	_, err = relay(t).Models.EmbedContent(t.Context(), textModel, genai.Text("hello"), nil)
	assertContains(t, refusal(t, err, 501, "UNIMPLEMENTED").Message, " ")
}

func TestWhatIsNotServedIsRefusedWithWhatToUseInstead(t *testing.T) {
	client := relay(t)
	for _, row := range []struct {
		name, advice string
		code         int
		call         func(ctx context.Context) error
	}{
		{"Files.Get", "inlineData", 404, func(ctx context.Context) error {
			_, err := client.Files.Get(ctx, "files/a", nil)
			return err
		}},
		// This SDK makes a text of the error of an upload, so that it has no code.
		{"Files.Upload", "inlineData", 0, func(ctx context.Context) error {
			_, err := client.Files.Upload(ctx, strings.NewReader("a file"), &genai.UploadFileConfig{MIMEType: "text/plain"})
			return err
		}},
		{"Caches.Create", "with each request", 404, func(ctx context.Context) error {
			_, err := client.Caches.Create(ctx, textModel, &genai.CreateCachedContentConfig{Contents: genai.Text("hello")})
			return err
		}},
		{"Batches.Create", "one by one", 501, func(ctx context.Context) error {
			source := &genai.BatchJobSource{InlinedRequests: []*genai.InlinedRequest{{Contents: genai.Text("hello")}}}
			_, err := client.Batches.Create(ctx, textModel, source, nil)
			return err
		}},
		{"Tunings.Get", "base model", 404, func(ctx context.Context) error {
			_, err := client.Tunings.Get(ctx, "tunedModels/a", nil)
			return err
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			assertContains(t, err.Error(), row.advice)
			if row.code != 0 {
				refusal(t, err, row.code, map[int]string{404: "NOT_FOUND", 501: "UNIMPLEMENTED"}[row.code])
			}
		})
	}
}

func TestErrorsHaveCodeAndStatus(t *testing.T) {
	table, err := os.ReadFile("../errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Model  string
		Code   int
		Status string
		Late   bool `json:"after_chunks"`
	}
	if err := json.Unmarshal(table, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		t.Run(row.Model, func(t *testing.T) {
			chunks, err := read(t.Context(), service(t), row.Model, "hi")
			refusal(t, err, row.Code, row.Status)
			if (len(chunks) > 2) != row.Late {
				t.Fatal(len(chunks))
			}
			if !row.Late {
				_, err = service(t).Models.GenerateContent(t.Context(), row.Model, genai.Text("hi"), nil)
				refusal(t, err, row.Code, row.Status)
			}
		})
	}
}

func TestAQuotaErrorHasTheRetryDelay(t *testing.T) {
	_, err := service(t).Models.GenerateContent(t.Context(), "sandbox-429", genai.Text("hi"), nil)
	refused := refusal(t, err, 429, "RESOURCE_EXHAUSTED")
	delay, err := time.ParseDuration(detail(t, refused, "RetryInfo")["retryDelay"].(string))
	if err != nil || delay != 3500*time.Millisecond {
		t.Fatal(delay, err)
	}
}

func TestAllViolationsAreReportedTogether(t *testing.T) {
	config := &genai.GenerateContentConfig{Temperature: genai.Ptr[float32](3), ImageConfig: &genai.ImageConfig{AspectRatio: "7:3"}}
	_, err := service(t).Models.GenerateContent(t.Context(), imageModel, genai.Text("hi"), config)
	violations := detail(t, refusal(t, err, 400, "INVALID_ARGUMENT"), "BadRequest")["fieldViolations"].([]any)
	var fields []string
	for _, violation := range violations {
		fields = append(fields, violation.(map[string]any)["field"].(string))
	}
	if !slices.Equal(fields, []string{"generation_config.temperature", "generation_config.image_config.aspect_ratio"}) {
		t.Fatal(fields)
	}
}

func TestABadKeyIsRefused(t *testing.T) {
	client := clientOf(t, os.Getenv("SERVICE"), "bad-key", nil)
	_, err := client.Models.GenerateContent(t.Context(), textModel, genai.Text("hi"), nil)
	assertContains(t, refusal(t, err, 401, "UNAUTHENTICATED").Message, "API key not valid")
}

func TestTheGatewayEndsACallAtTheDeadlineInItsHeader(t *testing.T) {
	client := clientOf(t, os.Getenv("RELAY"), "a-key", http.Header{"X-Server-Timeout": {"1"}})
	_, err := client.Models.GenerateContent(t.Context(), "hang-go-deadline", genai.Text("hi"), nil)
	refusal(t, err, 504, "DEADLINE_EXCEEDED")
}

func TestAClientThatDoesNotWaitAnyLongerEndsTheCallUpstream(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := relay(t).Models.GenerateContent(ctx, "hang-go-timeout", genai.Text("hi"), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	assertUpstream(t, "cancelled", "hang-go-timeout")
}

func TestACallWhoseContextIsCancelledEndsUpstream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client, failed := relay(t), make(chan error, 1)
	go func() {
		_, err := client.Models.GenerateContent(ctx, "hang-go-unary", genai.Text("hi"), nil)
		failed <- err
	}()
	assertUpstream(t, "arrived", "hang-go-unary")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	assertUpstream(t, "cancelled", "hang-go-unary")
}

func TestAStreamThatIsCancelledOrLeftEndsTheCallUpstream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for chunk, err := range relay(t).Models.GenerateContentStream(ctx, "hang-go-cancel", genai.Text("hi"), nil) {
		if err == nil && chunk.Text() == "first" {
			cancel()
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(chunk, err)
		}
	}
	assertUpstream(t, "cancelled", "hang-go-cancel")

	for chunk, err := range relay(t).Models.GenerateContentStream(t.Context(), "hang-go-left", genai.Text("hi"), nil) {
		if err != nil || chunk.Text() != "first" {
			t.Fatal(chunk, err)
		}
		break
	}
	assertUpstream(t, "cancelled", "hang-go-left")
}

func TestUpstreamGetsTheNameOfTheSDK(t *testing.T) {
	if _, err := relay(t).Models.GenerateContent(t.Context(), "plain", genai.Text("hi"), nil); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(os.Getenv("UPSTREAM") + "/requests/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	requests, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	assertContains(t, string(requests), "gl-go/")
}
