package vfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"syscall"
	"testing"

	"freshet/stream/vfs"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, f vfs.File, at int64, data string) {
	t.Helper()
	_, err := f.WriteAt([]byte(data), at)
	check(t, err)
}

func read(t testing.TB, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	check(t, err)
	defer f.Close()
	size, err := f.Size()
	check(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	if size > 0 {
		check(t, err)
	}
	return string(b)
}

// Both file systems do the same as long as nothing fails.
func TestBoth(t *testing.T) {
	for name, c := range map[string]struct {
		fs  vfs.FS
		dir string
	}{"os": {vfs.OS{}, t.TempDir()}, "mem": {vfs.NewMem(), "tmp"}} {
		t.Run(name, func(t *testing.T) {
			v, dir := c.fs, path.Join(c.dir, "a/b")
			check(t, v.MkdirAll(dir))
			check(t, v.MkdirAll(dir))
			file := path.Join(dir, "f")
			f, err := v.Create(file)
			check(t, err)
			write(t, f, 0, "hello")
			write(t, f, 7, "x")
			check(t, f.Sync())
			check(t, f.Truncate(6))
			check(t, f.Close())
			if got := read(t, v, file); got != "hello\x00" {
				t.Errorf("got %q", got)
			}
			if _, err := v.Create(file); !errors.Is(err, fs.ErrExist) {
				t.Errorf("create again: got %v", err)
			}
			if _, err := v.Open(file + "x"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("open nothing: got %v", err)
			}
			f, err = v.Open(file)
			check(t, err)
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				t.Error("a file opened for reading is written")
			}
			if n, err := f.ReadAt(make([]byte, 9), 2); n != 4 || err == nil {
				t.Errorf("read past the end: got %d, %v", n, err)
			}
			check(t, v.Rename(file, path.Join(dir, "g")))
			check(t, v.SyncDir(dir))
			check(t, v.MkdirAll(path.Join(dir, "c")))
			if names, err := v.ReadDir(dir); err != nil || !slices.Equal(names, []string{"c", "g"}) {
				t.Errorf("got %v, %v", names, err)
			}
			check(t, v.Remove(path.Join(dir, "g")))
			check(t, v.RemoveAll(dir))
			check(t, v.RemoveAll(dir))
			if n, err := f.ReadAt(make([]byte, 5), 0); n != 5 || err != nil {
				t.Errorf("an open file that was removed: got %d, %v", n, err)
			}
			check(t, f.Close())
			lock, err := v.Lock(path.Join(c.dir, "lock"))
			check(t, err)
			if _, err := v.Lock(path.Join(c.dir, "lock")); err == nil {
				t.Error("a lock is taken twice")
			}
			check(t, lock.Close())
			lock, err = v.Lock(path.Join(c.dir, "lock"))
			check(t, err)
			check(t, lock.Close())
		})
	}
}

// TestCrashKeepsWhatWasSynced looks at many crashes after the same calls: what was
// synced is always there, and of the rest every fate is met.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	fates := map[string]int{}
	synced := bytes.Repeat([]byte("s"), 5000)
	rest := bytes.Repeat([]byte("u"), 9000)
	for seed := range uint64(300) {
		m := vfs.NewMem()
		check(t, m.MkdirAll("d"))
		f, err := m.Create("d/f")
		check(t, err)
		write(t, f, 0, string(synced))
		check(t, f.Sync())
		check(t, m.SyncDir("d"))
		write(t, f, 5000, string(rest))
		_, err = m.Create("d/g")
		check(t, err)
		after := m.Crash(rand.New(rand.NewPCG(seed, 0)))
		if _, err := f.WriteAt(rest, 0); !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("a write after the crash: got %v", err)
		}
		got := []byte(read(t, after, "d/f"))
		if !bytes.HasPrefix(got, synced) {
			t.Fatalf("seed %d: what was synced is gone", seed)
		}
		u := bytes.Count(got, []byte("u"))
		switch {
		case u == 0:
			fates["nothing"]++
		case u == len(rest):
			fates["all"]++
		case bytes.HasPrefix(rest, got[5000:]):
			fates["the first part"]++
		default:
			fates["pieces"]++
		}
		names, err := after.ReadDir("d")
		check(t, err)
		if slices.Contains(names, "g") {
			fates["the name"]++
		} else {
			fates["no name"]++
		}
	}
	for _, fate := range []string{"nothing", "all", "the first part", "pieces", "the name", "no name"} {
		if fates[fate] < 10 {
			t.Errorf("met %q %d times in 300 crashes", fate, fates[fate])
		}
	}
}

func TestFaults(t *testing.T) {
	m := vfs.NewMem()
	f, err := m.Create("f")
	check(t, err)
	check(t, m.SyncDir(""))
	var fault *vfs.Fault
	m.Inject(func(vfs.Op) *vfs.Fault { return fault })

	fault = &vfs.Fault{Err: syscall.ENOSPC, Short: 3}
	if n, err := f.WriteAt([]byte("hello"), 0); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("short write: got %d, %v", n, err)
	}
	fault = &vfs.Fault{Err: syscall.EIO}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: got %v", err)
	}
	fault = nil
	check(t, f.Sync()) // proves nothing
	if got := read(t, m, "f"); got != "hel" {
		t.Errorf("after a failed sync: got %q", got)
	}
	killed := m.Kill()
	if got := read(t, killed, "f"); got != "hel" {
		t.Errorf("after a kill: got %q", got)
	}
	if got := read(t, killed.Crash(rand.New(rand.NewPCG(1, 1))), "f"); got != "" {
		t.Errorf("after a crash: got %q", got)
	}
}

func TestAFailedSyncMayHavePersisted(t *testing.T) {
	m := vfs.NewMem()
	f, err := m.Create("f")
	check(t, err)
	check(t, m.SyncDir(""))
	write(t, f, 0, "hello")
	m.Inject(func(vfs.Op) *vfs.Fault { return &vfs.Fault{Err: syscall.EIO, Persisted: true} })
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if got := read(t, m.Crash(rand.New(rand.NewPCG(1, 1))), "f"); got != "hello" {
		t.Errorf("got %q", got)
	}
}
