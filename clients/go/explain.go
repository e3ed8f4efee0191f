package gemini

import (
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Explanation is what is known about a failed call. What the gateway did not send is empty.
type Explanation struct {
	Code    codes.Code
	Message string
	// Reason says exactly what happened; docs/errors.md lists the gateway's own.
	Reason string
	// Domain is the owner of the reason: gemini-grpc for the gateway, googleapis.com for Google.
	Domain string
	// Violations are all rules that the request breaks.
	Violations []*errdetails.BadRequest_FieldViolation
	// RetryDelay is how long to wait before a retry. It is nil if no retry is advised.
	RetryDelay *time.Duration
	// RequestID identifies the call in the gateway's log.
	RequestID string
}

// Explain returns what an error of a call contains. It also takes errors that wrap one, and those of
// a context.
func Explain(err error) Explanation {
	st := status.FromContextError(err)
	// After its last retry grpc-go wraps the error; status.FromError would add that text to the message.
	var failed interface{ GRPCStatus() *status.Status }
	if errors.As(err, &failed) {
		st = failed.GRPCStatus()
	}
	e := Explanation{Code: st.Code(), Message: st.Message()}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Domain = d.GetReason(), d.GetDomain()
		case *errdetails.BadRequest:
			e.Violations = append(e.Violations, d.GetFieldViolations()...)
		case *errdetails.RetryInfo:
			delay := d.GetRetryDelay().AsDuration()
			e.RetryDelay = &delay
		case *errdetails.RequestInfo:
			e.RequestID = d.GetRequestId()
		}
	}
	return e
}
