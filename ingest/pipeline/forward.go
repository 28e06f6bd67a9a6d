package pipeline

import (
	"context"
	"fmt"
)

// forward appends the records of a route and waits until they are durable. After an error
// the route holds those that were not appended.
func (r *runner) forward(ctx context.Context, to *route) error {
	target, ok := r.set.stream(to.stream, r.program.Definition)
	if !ok {
		return fmt.Errorf("there is no stream %s", to.stream)
	}
	_, rest, err := target.Put(ctx, to.entries)
	to.entries = rest
	return err
}
