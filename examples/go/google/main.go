// Asks a gateway with Google's own gRPC client; only the endpoint is changed: go run ./google ENDPOINT KEY [CA_FILE].
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	generativelanguage "cloud.google.com/go/ai/generativelanguage/apiv1beta"
	gemini "cloud.google.com/go/ai/generativelanguage/apiv1beta/generativelanguagepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: google HOST:PORT KEY [CA_FILE]")
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	// With TLS, which Google's client always uses if it has a key.
	options := []option.ClientOption{option.WithEndpoint(os.Args[1]), option.WithAPIKey(os.Args[2])}
	if len(os.Args) > 3 {
		transport, err := credentials.NewClientTLSFromFile(os.Args[3], "")
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, option.WithGRPCDialOption(grpc.WithTransportCredentials(transport)))
	}
	client, err := generativelanguage.NewGenerativeClient(ctx, options...)
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
