// Package gemini calls a gemini-grpc gateway. It adds to the generated clients of package geminiv1
// what every caller needs: a key, TLS, limits, keepalive, retries, and errors in plain fields.
//
//	client, err := gemini.NewClient("gateway.example.com:443", key)
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	answer, err := client.GenerateContent(ctx, gemini.Prompt("gemini-2.5-flash", "Why is the sky blue?"))
//	if err != nil {
//		return err
//	}
//	fmt.Println(gemini.Text(answer))
//
// All requests, responses and methods are those of package geminiv1, which is generated from the
// contract. Give each call a context with a deadline. A stream ends with io.EOF only if the answer
// is complete; cancel its context if you stop reading before that.
package gemini
