// Reads streams with google.golang.org/genai and prints, for each model, one line of JSON: what was read, and the end.
//
//	read BASE_URL < MODELS
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/genai"
)

type report struct {
	Model string   `json:"model"`
	Texts []string `json:"texts"`
	End   []any    `json:"end"`
}

func failure(err error) []any {
	var refused genai.APIError
	if errors.As(err, &refused) {
		return []any{fmt.Sprintf("%T", refused), refused.Code, refused.Status}
	}
	return []any{fmt.Sprintf("%T", err), err.Error()}
}

func read(ctx context.Context, client *genai.Client, model string) report {
	read := report{Model: model, Texts: []string{}}
	for chunk, err := range client.Models.GenerateContentStream(ctx, model, genai.Text("hi"), nil) {
		if err != nil {
			read.End = failure(err)
			break
		}
		read.Texts = append(read.Texts, chunk.Text())
	}
	return read
}

func main() {
	log.SetOutput(io.Discard)
	ctx := context.Background()
	client, err := genai.NewClient(ctx, &genai.ClientConfig{
		APIKey:      "a-key",
		Backend:     genai.BackendGeminiAPI,
		HTTPOptions: genai.HTTPOptions{BaseURL: os.Args[1]},
	})
	if err != nil {
		panic(err)
	}
	models := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for models.Scan() {
		if err := out.Encode(read(ctx, client, models.Text())); err != nil {
			panic(err)
		}
	}
}
