// Calls the gateway at the given address with code that was generated into a module of its own.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	gemini "example.com/app/gen/mountsea/gemini/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func main() {
	conn, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	question := &gemini.Part{Data: &gemini.Part_Text{Text: "hello"}}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-goog-api-key", os.Args[2])
	answer, err := gemini.NewGenerativeServiceClient(conn).GenerateContent(ctx, &gemini.GenerateContentRequest{
		Model:    "gemini-2.5-flash",
		Contents: []*gemini.Content{{Role: "user", Parts: []*gemini.Part{question}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetCandidates()[0].GetContent().GetParts()[0].GetText())
}
