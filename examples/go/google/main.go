// Google's own gRPC client; only the endpoint is changed: `go run ./google` in examples/go.
package main

import (
	"context"
	"fmt"
	"log"

	generativelanguage "cloud.google.com/go/ai/generativelanguage/apiv1beta"
	gemini "cloud.google.com/go/ai/generativelanguage/apiv1beta/generativelanguagepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	ctx := context.Background()
	conn, err := grpc.NewClient("127.0.0.1:50051", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	client, err := generativelanguage.NewGenerativeClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	question := &gemini.Part{Data: &gemini.Part_Text{Text: "Why is the sky blue?"}}
	answer, err := client.GenerateContent(ctx, &gemini.GenerateContentRequest{
		Model:    "models/gemini-2.5-flash",
		Contents: []*gemini.Content{{Role: "user", Parts: []*gemini.Part{question}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, candidate := range answer.GetCandidates() {
		for _, part := range candidate.GetContent().GetParts() {
			fmt.Println(part.GetText())
		}
	}
}
