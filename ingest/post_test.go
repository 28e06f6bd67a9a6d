package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"freshet/ingest"
	"freshet/stream"
)

// bigBody returns n random points over some series, as JSON lines.
func bigBody(n, series int) string {
	r := rand.New(rand.NewPCG(2, 2))
	var b strings.Builder
	for i := range n {
		s := r.IntN(series)
		fmt.Fprintf(&b, `{"metric":"m%d","ts":%d,"value":%d,"labels":{"host":"h%d"}}`+"\n", s%3, noon-n+i, i, s)
	}
	return b.String()
}

// All points of a large post arrive, on the shards of their series, in order.
func TestLargePost(t *testing.T) {
	r := newRig(t, 4, true, stream.Options{}, ingest.Options{})
	const n = 80_000
	if status, answer := r.post(bigBody(n, 100)); status != 200 || answer != fmt.Sprintf(`{"accepted":%d}`, n) {
		t.Fatalf("got %d %s", status, answer)
	}
	last := map[string]float64{}
	seen := map[float64]bool{}
	for _, p := range r.stored(t) {
		key := fmt.Sprint(p.Series)
		if before, ok := last[key]; ok && p.Value <= before {
			t.Fatalf("%s: %v comes after %v", key, p.Value, before)
		}
		last[key] = p.Value
		seen[p.Value] = true
	}
	if len(seen) != n {
		t.Errorf("got %d points, want %d", len(seen), n)
	}
	if s := r.Stats(); s.Records < 8 || s.RecordBytes/s.Records > 600<<10 {
		t.Errorf("got %d records of %d bytes in all", s.Records, s.RecordBytes)
	}
}

func TestConcurrentPosts(t *testing.T) {
	r := newRig(t, 2, true, stream.Options{}, ingest.Options{})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 25 {
				body := bigBody(10+g+i, 20)
				if i%2 == 0 {
					r.post(body)
				} else {
					r.post(pack(t, "gzip", []byte(body)), "Content-Encoding", "gzip")
				}
			}
		})
	}
	group.Wait()
	if got, want := len(r.stored(t)), int(r.Stats().Accepted); got != want || want != 8*25*10+25*28+8*300 {
		t.Errorf("%d points are stored, %d were accepted", got, want)
	}
}

// Whatever lines a post has, the good ones are stored and the bad ones named.
func TestMixedPosts(t *testing.T) {
	r := newRig(t, 3, true, stream.Options{}, ingest.Options{})
	bad := []string{"x", `{"metric":"m"}`, `{"metric":"m","value":1,"ts":1}`, `{"metric":"m","value":1`, `{"met`, `{"metric":"m","value":"`, `[1]`, `{"metric":"m","value":1,"x":{}}`}
	total := 0
	rapid.Check(t, func(rt *rapid.T) {
		lines := []string{good} // a body that begins with a bracket is an array
		var want []int
		open := false // the line before has no closing brace
		for i, n := range rapid.SliceOfN(rapid.IntRange(-5, len(bad)-1), 1, 40).Draw(rt, "lines") {
			if n < 0 {
				open = false
				lines = append(lines, fmt.Sprintf(`{"metric":"m%d","value":%d}`, -n, i))
				continue
			}
			if open && bad[n][0] != '{' {
				n = 1 // or it would count as a part of that line
			}
			open = n >= 3 && n <= 5
			lines, want = append(lines, bad[n]), append(want, i+1)
		}
		status, answer := r.post(strings.Join(lines, "\n"))
		var a struct {
			Accepted, Rejected int
			Errors             []struct{ Index int }
		}
		if err := json.Unmarshal([]byte(answer), &a); err != nil {
			rt.Fatal(err)
		}
		if a.Accepted != len(lines)-len(want) || a.Rejected != len(want) || (status == 400) != (a.Accepted == 0) {
			rt.Fatalf("%q: got %d %s, want %d rejected", lines, status, answer, len(want))
		}
		for i, e := range a.Errors {
			if e.Index != want[i] {
				rt.Fatalf("%q: error %d is for %d, want %d", lines, i, e.Index, want[i])
			}
		}
		total += a.Accepted
	})
	if got := len(r.stored(t)); got != total {
		t.Errorf("%d points are stored, %d were accepted", got, total)
	}
}

func TestOverCapacity(t *testing.T) {
	// Nothing runs the log, so that what is submitted stays pending.
	r := newRig(t, 1, false, stream.Options{PendingBytes: 4 << 10}, ingest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { // takes all the room
		req := httptest.NewRequestWithContext(ctx, "POST", "/", strings.NewReader(bigBody(1000, 500)))
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != 503 && w.Code != 429 {
			t.Errorf("the first: got %d %s", w.Code, w.Body)
		}
	})
	deadline := time.Now().Add(5 * time.Second)
	for {
		quick, stop := context.WithTimeout(ctx, 20*time.Millisecond)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(quick, "POST", "/", strings.NewReader(bigBody(100, 50))))
		stop()
		if w.Code == 429 {
			if w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "nothing was stored") {
				t.Errorf("got %v %s", w.Header(), w.Body)
			}
			break
		}
		if w.Code != 503 || time.Now().After(deadline) {
			t.Fatalf("got %d %s, want 429", w.Code, w.Body)
		}
	}
	cancel()
	group.Wait()
}

func TestBytesInFlight(t *testing.T) {
	r := newRig(t, 1, true, stream.Options{}, ingest.Options{InFlightBytes: 64 << 10})
	pr, pw := io.Pipe()
	var group sync.WaitGroup
	group.Go(func() {
		if w := r.serve("POST", pr); w.Code != 200 {
			t.Errorf("the slow one: got %d %s", w.Code, w.Body)
		}
	})
	if _, err := io.WriteString(pw, strings.Repeat(" ", 30<<10)); err != nil {
		t.Fatal(err)
	}
	status, answer := r.post(strings.Repeat(" ", 60<<10) + good)
	if status != 429 || !strings.Contains(answer, "at most 65536 may be") {
		t.Errorf("got %d %s", status, answer)
	}
	io.WriteString(pw, good)
	pw.Close()
	group.Wait()
	if got := r.Stats().InFlight; got != 0 {
		t.Errorf("%d bytes stay in flight", got)
	}
}
