// Calls the gateway at the given address, with the client that was generated for Go.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	gemini "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

func newRequest(text string) *gemini.GenerateContentRequest {
	part := &gemini.Part{Data: &gemini.Part_Text{Text: text}}
	return &gemini.GenerateContentRequest{
		Model:    "gemini-2.5-flash",
		Contents: []*gemini.Content{{Role: "user", Parts: []*gemini.Part{part}}},
	}
}

func text(answer *gemini.GenerateContentResponse) string {
	return answer.GetCandidates()[0].GetContent().GetParts()[0].GetText()
}

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client := gemini.NewGenerativeServiceClient(conn)

	answer, err := client.GenerateContent(context.Background(), newRequest("Why is the sky blue?"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("answer:", text(answer))

	stream, err := client.StreamGenerateContent(context.Background(), newRequest("Why is the sky blue?"))
	if err != nil {
		log.Fatal(err)
	}
	streamed := ""
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		streamed += text(answer)
	}
	fmt.Println("stream:", streamed)

	_, err = client.GenerateContent(context.Background(), &gemini.GenerateContentRequest{Model: "gemini-2.5-flash"})
	fmt.Println("refused:", int(status.Code(err)), status.Convert(err).Message())
}
