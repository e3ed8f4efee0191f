package gemini

import (
	"strings"

	geminiv1 "github.com/mountsea/gemini-grpc/clients/go/mountsea/gemini/v1"
)

// Prompt returns a request with one text of the user.
func Prompt(model, text string) *geminiv1.GenerateContentRequest {
	part := &geminiv1.Part{Data: &geminiv1.Part_Text{Text: text}}
	return &geminiv1.GenerateContentRequest{
		Model:    model,
		Contents: []*geminiv1.Content{{Role: "user", Parts: []*geminiv1.Part{part}}},
	}
}

// Text returns the text of the first candidate, without the model's thoughts. It is empty if the
// prompt was blocked, for example: see prompt_feedback and finish_reason of the answer.
func Text(answer *geminiv1.GenerateContentResponse) string {
	if len(answer.GetCandidates()) == 0 {
		return ""
	}
	var text strings.Builder
	for _, part := range answer.GetCandidates()[0].GetContent().GetParts() {
		if !part.GetThought() {
			text.WriteString(part.GetText())
		}
	}
	return text.String()
}
