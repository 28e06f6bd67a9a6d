package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A journal is what stages did, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) write(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// stage returns a stage that drains for a while after it was stopped.
func (j *journal) stage(name string, drain time.Duration, result error) stage {
	return stage{name, func(ctx context.Context) error {
		<-ctx.Done()
		j.write("stop " + name)
		time.Sleep(drain)
		j.write("end " + name)
		return result
	}}
}

func TestLineStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		broken := errors.New("broken")
		err := runLine(ctx, j.stage("log", 0, context.Canceled), j.stage("fold", time.Minute, broken), j.stage("http", time.Second, nil))
		if want := []string{"stop http", "end http", "stop fold", "end fold", "stop log", "end log"}; !slices.Equal(j.lines, want) {
			t.Errorf("got %q, want %q", j.lines, want)
		}
		if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "fold: ") || errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want only fold's error", err)
		}
	})
}

func TestLineEndsWithAStage(t *testing.T) {
	for _, result := range []error{errors.New("broken"), nil} {
		synctest.Test(t, func(t *testing.T) {
			var j journal
			failing := stage{"fold", func(context.Context) error { time.Sleep(time.Second); return result }}
			err := runLine(t.Context(), j.stage("log", 0, nil), failing, j.stage("http", 0, nil))
			if err == nil || !strings.HasPrefix(err.Error(), "fold: ") {
				t.Errorf("got %v, want an error that names fold", err)
			}
			if want := []string{"stop http", "end http", "stop log", "end log"}; !slices.Equal(j.lines, want) {
				t.Errorf("got %q, want %q", j.lines, want)
			}
		})
	}
}
