//go:build linux || darwin

package warehouse_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"freshet/aggregate"
	"freshet/warehouse"
)

// A load that finds the disk full leaves the last generation and all answers as they
// were, and goes through once there is room. A limit on the size of files stands for the
// disk, in a process of its own.
func TestDiskFull(t *testing.T) {
	if os.Getenv("FRESHET_TEST_DISK_FULL") == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
		c.Env = append(os.Environ(), "FRESHET_TEST_DISK_FULL=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	path := filepath.Join(t.TempDir(), "w.duckdb")
	log := newLog(t)
	l := newLine(t, log, path, warehouse.LoaderOptions{})
	postMany(t, l, 0, 1000)
	l.load(t)
	n := 1000
	check := func(when string) {
		t.Helper()
		if got, want := l.query(t, totals), fmt.Sprintf("[[%[1]d %[1]d %[1]d %[1]d %[1]d]]", n); got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
	}
	// A small load fails in the write-ahead log, a large one in the file.
	for i, points := range []int{50, 300_000} {
		postMany(t, l, n, points)
		n += points
		check("pending")
		limit(t, size(t, path+".wal")+100)
		_, err := l.loader.Load(t.Context())
		limit(t, -1)
		if err == nil {
			t.Fatalf("a load of %d points went through", points)
		}
		check("after a load that failed")
		if g := l.loaded(t); g != aggregate.Generation(i+1) {
			t.Errorf("generation %d is loaded, want %d", g, i+1)
		}
		l.load(t)
		check("loaded at last")
	}
	// A checkpoint that fails makes DuckDB give the database up.
	postMany(t, l, n, 100)
	n += 100
	l.load(t)
	var said bytes.Buffer
	upkeep := l.store.Upkeep(warehouse.UpkeepOptions{Now: later, Rows: 1, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	limit(t, size(t, path+".wal")+100_000) // of room for the compaction before it
	err := upkeep.Round(t.Context())
	limit(t, -1)
	if !strings.Contains(said.String(), "FATAL") {
		t.Errorf("the checkpoint went through: %v, %s", err, &said)
	}
	check("after a checkpoint on a full disk")
	if err := upkeep.Round(t.Context()); err != nil {
		t.Error(err)
	}
	postMany(t, l, n, 100)
	n += 100
	check("reopened")
	l.load(t)
	check("reopened and loaded")
	l = newLine(t, log, copied(t, path, filepath.Join(t.TempDir(), "again")), warehouse.LoaderOptions{})
	check("after a restart")
}

// limit bounds the size of files that the process writes; -1 lifts the bound.
func limit(t *testing.T, bytes int64) {
	t.Helper()
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &r); err != nil {
		t.Fatal(err)
	}
	r.Cur = r.Max
	if bytes >= 0 {
		r.Cur = uint64(bytes)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &r); err != nil {
		t.Fatal(err)
	}
}
