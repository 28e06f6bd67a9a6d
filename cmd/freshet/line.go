package main

import (
	"context"
	"errors"
	"fmt"
)

// A stage is one part of the server. Its run blocks until ctx ends and the
// stage has drained; returning before that, with or without an error, ends the
// whole line.
type stage struct {
	name string
	run  func(context.Context) error
}

// runLine starts the stages in order and blocks until all have ended. When ctx
// ends, or a stage does, the stages are stopped from the last to the first,
// each only after the one behind it has drained: what a stage still hands on
// while it drains finds the stages before it at work.
func runLine(ctx context.Context, stages ...stage) error {
	type ended struct {
		stage int
		err   error
	}
	var (
		results = make(chan ended, len(stages))
		cancels = make([]context.CancelFunc, len(stages))
		over    = make([]bool, len(stages))
		errs    []error
	)
	for i, s := range stages {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		cancels[i] = cancel
		go func() { results <- ended{i, s.run(own)} }()
	}
	note := func(e ended) {
		over[e.stage] = true
		if e.err != nil && !errors.Is(e.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("%s: %w", stages[e.stage].name, e.err))
		}
	}
	select {
	case <-ctx.Done():
	case e := <-results:
		note(e)
		if e.err == nil {
			errs = append(errs, fmt.Errorf("%s: ended by itself", stages[e.stage].name))
		}
	}
	for i := len(stages) - 1; i >= 0; i-- {
		cancels[i]()
		for !over[i] {
			note(<-results)
		}
	}
	return errors.Join(errs...)
}
