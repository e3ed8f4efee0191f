// Calls a gateway in all ways that the package offers: go run ./tour ENDPOINT KEY [CA_FILE].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	gemini "github.com/mountsea/gemini-grpc/clients/go"
	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

const (
	textModel  = "gemini-2.5-flash"
	imageModel = "gemini-3-pro-image-preview"
	question   = "Why is the sky blue?"
)

func main() {
	client := connect(os.Args[1:])
	defer client.Close()
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	text(ctx, client)
	stream(ctx, client)
	pictures(ctx, client)
	tools(ctx, client)
	deadline(ctx, client)
	cancel(ctx, client)
	refused(ctx, client)
	busy(ctx, client)
	blocked(ctx, client)
	usage(ctx, client)
}

func connect(arguments []string) *gemini.Client {
	switch len(arguments) {
	case 2:
		return must(gemini.NewClient(arguments[0], arguments[1]))
	case 3:
		return must(gemini.NewClient(arguments[0], arguments[1], gemini.WithCAFile(arguments[2])))
	}
	log.Fatal("usage: tour ENDPOINT KEY [CA_FILE]")
	return nil
}

func text(ctx context.Context, client *gemini.Client) {
	answer := must(client.GenerateContent(ctx, gemini.Prompt(textModel, question)))
	fmt.Println("text:", gemini.Text(answer))
}

func stream(ctx context.Context, client *gemini.Client) {
	chunks := must(client.StreamGenerateContent(ctx, gemini.Prompt(textModel, question)))
	fmt.Print("stream: ")
	for {
		chunk, err := chunks.Recv()
		// It comes only after a complete answer.
		if errors.Is(err, io.EOF) {
			break
		}
		fmt.Print(gemini.Text(must(chunk, err)))
	}
	fmt.Println()
}

func pictures(ctx context.Context, client *gemini.Client) {
	request := gemini.Prompt(imageModel, "a lighthouse at dawn")
	request.GenerationConfig = &geminiv1.GenerationConfig{
		ImageConfig: &geminiv1.ImageConfig{ImageSize: proto.String("4K")},
	}
	lighthouse := picture(must(client.GenerateContent(ctx, request)))
	save("picture", "lighthouse.png", lighthouse)

	edit := gemini.Prompt(imageModel, "at night")
	edit.GenerationConfig = request.GenerationConfig
	edit.Contents[0].Parts = append(edit.Contents[0].Parts,
		&geminiv1.Part{Data: &geminiv1.Part_InlineData{InlineData: lighthouse}})
	save("edited", "lighthouse-night.png", picture(must(client.GenerateContent(ctx, edit))))
}

func picture(answer *geminiv1.GenerateContentResponse) *geminiv1.Blob {
	for _, candidate := range answer.GetCandidates() {
		for _, part := range candidate.GetContent().GetParts() {
			// Some models send drafts first, as thoughts.
			if part.GetInlineData() != nil && !part.GetThought() {
				return part.GetInlineData()
			}
		}
	}
	// The finish reason or the block reason says why.
	log.Fatal("no picture: ", answer)
	return nil
}

func save(label, file string, picture *geminiv1.Blob) {
	if err := os.WriteFile(file, picture.GetData(), 0o600); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s, %s, %d bytes\n", label, file, picture.GetMimeType(), len(picture.GetData()))
}

func tools(ctx context.Context, client *gemini.Client) {
	request := gemini.Prompt(textModel, "What is the weather in Oslo?")
	request.Tools = []*geminiv1.Tool{{FunctionDeclarations: []*geminiv1.FunctionDeclaration{{
		Name:        "get_weather",
		Description: "The weather in a city.",
		Parameters: &geminiv1.Schema{
			Type:       geminiv1.Type_OBJECT,
			Properties: map[string]*geminiv1.Schema{"city": {Type: geminiv1.Type_STRING}},
		},
	}}}}
	answer := must(client.GenerateContent(ctx, request))
	// The history contains the answer as it came, and the result of each call.
	results := &geminiv1.Content{Role: "user"}
	for _, candidate := range answer.GetCandidates() {
		request.Contents = append(request.Contents, candidate.GetContent())
		for _, part := range candidate.GetContent().GetParts() {
			if call := part.GetFunctionCall(); call != nil {
				fmt.Println("tool:", call.GetName())
				results.Parts = append(results.Parts, weather(call))
			}
		}
	}
	request.Contents = append(request.Contents, results)
	fmt.Println("tool answer:", gemini.Text(must(client.GenerateContent(ctx, request))))
}

func weather(call *geminiv1.FunctionCall) *geminiv1.Part {
	response := must(structpb.NewStruct(map[string]any{"celsius": 7}))
	return &geminiv1.Part{Data: &geminiv1.Part_FunctionResponse{FunctionResponse: &geminiv1.FunctionResponse{
		Id: call.GetId(), Name: call.GetName(), Response: response,
	}}}
}

func deadline(ctx context.Context, client *gemini.Client) {
	ctx, stop := context.WithTimeout(ctx, 500*time.Millisecond)
	defer stop()
	_, err := client.GenerateContent(ctx, gemini.Prompt("sandbox-hang", question))
	fmt.Println("deadline:", code.Code(gemini.Explain(err).Code))
}

func cancel(ctx context.Context, client *gemini.Client) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	chunks := must(client.StreamGenerateContent(ctx, gemini.Prompt("sandbox-hang-stream", question)))
	must(chunks.Recv())
	stop()
	var err error
	for err == nil {
		_, err = chunks.Recv()
	}
	fmt.Println("cancel:", code.Code(gemini.Explain(err).Code))
}

func refused(ctx context.Context, client *gemini.Client) {
	request := gemini.Prompt(textModel, question)
	request.GenerationConfig = &geminiv1.GenerationConfig{Temperature: proto.Float32(3), TopP: proto.Float32(2)}
	_, err := client.GenerateContent(ctx, request)
	why := gemini.Explain(err)
	fmt.Printf("refused: %v, %s\n", code.Code(why.Code), why.Reason)
	for _, violation := range why.Violations {
		fmt.Printf("  %s: %s\n", violation.GetField(), violation.GetDescription())
	}
	fmt.Println("  request id:", why.RequestID)
}

func busy(ctx context.Context, client *gemini.Client) {
	_, err := client.GenerateContent(ctx, gemini.Prompt("sandbox-429", question))
	why := gemini.Explain(err)
	fmt.Printf("busy: %v, %s", code.Code(why.Code), why.Reason)
	if why.RetryDelay != nil {
		fmt.Printf(", retry in %v s", why.RetryDelay.Seconds())
	}
	fmt.Println()
}

func blocked(ctx context.Context, client *gemini.Client) {
	answer := must(client.GenerateContent(ctx, gemini.Prompt("sandbox-blocked", question)))
	fmt.Println("blocked:", answer.GetPromptFeedback().GetBlockReason())
}

func usage(ctx context.Context, client *gemini.Client) {
	used := must(client.GenerateContent(ctx, gemini.Prompt(textModel, question))).GetUsageMetadata()
	fmt.Printf("usage: %d tokens in, %d tokens out\n", used.GetPromptTokenCount(), used.GetCandidatesTokenCount())
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
