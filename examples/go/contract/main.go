// A client from this project's contract: a streamed answer, and its error if there is one.
//
// The generated code comes first, with protoc, protoc-gen-go and protoc-gen-go-grpc; in examples/go:
//
//	protoc -I ../../proto --go_out=. --go-grpc_out=. --go_opt=module=github.com/mountsea/gemini-grpc \
//		--go-grpc_opt=module=github.com/mountsea/gemini-grpc ../../proto/mountsea/gemini/v1/*.proto
//	go run ./contract
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	gemini "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

func main() {
	conn, err := grpc.NewClient("127.0.0.1:50051", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	question := &gemini.Part{Data: &gemini.Part_Text{Text: "Why is the sky blue?"}}
	stream, err := gemini.NewGenerativeServiceClient(conn).StreamGenerateContent(context.Background(),
		&gemini.GenerateContentRequest{
			Model:    "gemini-2.5-flash",
			Contents: []*gemini.Content{{Role: "user", Parts: []*gemini.Part{question}}},
		})
	if err != nil {
		log.Fatal(err)
	}
	for {
		answer, err := stream.Recv()
		// EOF comes only after a complete answer.
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		for _, candidate := range answer.GetCandidates() {
			for _, part := range candidate.GetContent().GetParts() {
				fmt.Print(part.GetText())
			}
		}
	}
	fmt.Println()
}
