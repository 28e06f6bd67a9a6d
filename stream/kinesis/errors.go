package kinesis

import (
	"fmt"
	"net/http"
)

// An Error is what a client sees of a failure: one of the service's exceptions.
type Error struct {
	Code    string // "ResourceNotFoundException"
	Message string // "" leaves it out

	status  int  // 0 means 400
	capital bool // the member is called Message, as the service does for what it cannot read
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// Status is the answer's HTTP status.
func (e *Error) Status() int {
	if e.status == 0 {
		return http.StatusBadRequest
	}
	return e.status
}

func fail(code, format string, args []any) *Error {
	if len(args) == 0 {
		return &Error{Code: code, Message: format}
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// The exceptions of the model. With no arguments the format is the message itself.

func accessDenied(format string, args ...any) *Error {
	return fail("AccessDeniedException", format, args)
}

func dryRun(format string, args ...any) *Error {
	return fail("DryRunOperationException", format, args)
}

func expiredIterator(format string, args ...any) *Error {
	return fail("ExpiredIteratorException", format, args)
}

func expiredNextToken(format string, args ...any) *Error {
	return fail("ExpiredNextTokenException", format, args)
}

func invalidArgument(format string, args ...any) *Error {
	return fail("InvalidArgumentException", format, args)
}

func kmsNotFound(format string, args ...any) *Error {
	return fail("KMSNotFoundException", format, args)
}

func limitExceeded(format string, args ...any) *Error {
	return fail("LimitExceededException", format, args)
}

func throughputExceeded(format string, args ...any) *Error {
	return fail("ProvisionedThroughputExceededException", format, args)
}

func resourceInUse(format string, args ...any) *Error {
	return fail("ResourceInUseException", format, args)
}

func resourceNotFound(format string, args ...any) *Error {
	return fail("ResourceNotFoundException", format, args)
}

func invalid(format string, args ...any) *Error {
	return fail("ValidationException", format, args)
}

// The exceptions in front of the operations.

func unknownOperation() *Error { return &Error{Code: "UnknownOperationException"} }

// malformed says that a body cannot be read. The service calls its message Message.
func malformed(format string, args ...any) *Error {
	e := fail("SerializationException", format, args)
	e.capital = true
	return e
}

func internalFailure() *Error {
	return &Error{Code: "InternalFailure", status: http.StatusInternalServerError}
}

func unavailable() *Error {
	return &Error{Code: "ServiceUnavailable", status: http.StatusServiceUnavailable}
}
