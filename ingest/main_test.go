package ingest_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when tests leave goroutines behind.
func TestMain(m *testing.M) {
	code := m.Run()
	for try := 0; code == 0 && leaked() != ""; try++ {
		if try == 50 {
			fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+leaked())
			code = 1
		}
		time.Sleep(20 * time.Millisecond)
	}
	os.Exit(code)
}

// leaked returns the stacks of goroutines that are not those of the test runner.
func leaked() string {
	buf := make([]byte, 1<<20)
	var own []string
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(g, "TestMain") && !strings.Contains(g, "testing.") && !strings.Contains(g, "signal.signal_recv") {
			own = append(own, g)
		}
	}
	return strings.Join(own, "\n\n")
}
