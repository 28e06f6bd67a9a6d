package consumer

import (
	"errors"
	"fmt"
)

var (
	// ErrLeaseLost says that another worker has, or may have, the lease of the shard. It
	// is the error of checkpoints, and the cause of the end of the processor's context.
	ErrLeaseLost = errors.New("the lease is lost")
	// ErrNotProcessed refuses a checkpoint beyond what Process has returned nil for.
	ErrNotProcessed = errors.New("the record is not processed yet")
	// ErrOtherStream refuses to go on with leases that were made for another stream, such
	// as one of the same name that was deleted. See Forget.
	ErrOtherStream = errors.New("the leases belong to another stream")
	// ErrAsideFull says that as many records are put aside as there may be. The shard
	// waits until some are deleted.
	ErrAsideFull = errors.New("too many records are put aside")
)

// errStopped ends the reading of a shard that is to be given up.
var errStopped = errors.New("the shard is given up")

// transientError is an error that says nothing about the records.
type transientError struct{ err error }

func (e *transientError) Error() string { return e.err.Error() }
func (e *transientError) Unwrap() error { return e.err }

// Transient marks an error that says nothing about the records, such as a database that
// is away. A Process that returns one gets the same batch again, for as long as it takes,
// and none of its records is put aside. Transient of nil is nil.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return &transientError{err}
}

// panicError is what a processor panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("the processor panicked: %v\n%s", e.value, e.stack)
}
