package stream_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"testing"

	"freshet/stream"
	"freshet/stream/vfs"
)

// TestCreateIsWholeOrNothing crashes, or fails, at every call that making a stream takes.
func TestCreateIsWholeOrNothing(t *testing.T) {
	whole := 0
	for step := 1; ; step++ {
		for seed := range uint64(6) {
			fs := vfs.NewMem()
			log, stop := start(t, memOptions(fs))
			appendN(t, create(t, log, "first", 1).Shards()[0], 0, 3)
			calls := 0
			fs.Inject(func(vfs.Op) *vfs.Fault {
				if calls++; calls < step {
					return nil
				}
				return &vfs.Fault{Err: syscall.EIO, Persisted: seed%2 == 0}
			})
			_, err := log.Create("second", 2)
			if err == nil {
				whole++
			}
			fs.Inject(nil)
			fs = fs.Crash(rand.New(rand.NewPCG(seed, 3)))
			stop()

			log, stop = start(t, memOptions(fs))
			s, _ := log.Stream("first")
			wantN(t, s.Shards()[0], 3)
			s, ok := log.Stream("second")
			if err == nil && !ok {
				t.Fatalf("step %d: a stream that was made is gone", step)
			}
			if !ok {
				s = create(t, log, "second", 2)
			}
			for _, sh := range s.Shards() {
				appendN(t, sh, 0, 3)
				wantN(t, sh, 3)
			}
			stop()
		}
		if whole > 0 {
			return
		}
	}
}

func TestATopologyThatIsLostOrDamagedIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	log, stop := start(t, memOptions(fs))
	appendN(t, create(t, log, "s", 1).Shards()[0], 0, 3)
	stop()
	name := path.Join(memDir, "topology")
	good := contents(t, fs, name)
	put := func(b []byte) {
		if err := fs.Update(name, func([]byte) []byte { return b }); err != nil {
			t.Fatal(err)
		}
	}
	for at := range good {
		b := bytes.Clone(good)
		b[at] ^= 1
		put(b)
		if log, err := stream.Open(memOptions(fs)); err == nil {
			log.Close()
			t.Fatalf("byte %d: a damaged topology is accepted", at)
		}
	}
	if err := fs.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Open(memOptions(fs)); err == nil || !strings.Contains(err.Error(), "topology") {
		t.Errorf("a lost topology: got %v", err)
	}
	f, err := fs.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	put(good)
	log, _ = start(t, memOptions(fs))
	s, _ := log.Stream("s")
	wantN(t, s.Shards()[0], 3)
	if _, err := stream.Open(memOptions(fs)); err == nil {
		t.Error("a log is opened twice")
	}
}

func TestAMissingShardOrFileIsDamage(t *testing.T) {
	for _, name := range []string{"shard", "first file", "middle file"} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			log, stop := start(t, memOptions(fs))
			for _, s := range create(t, log, "s", 2).Shards() {
				appendN(t, s, 0, 300)
			}
			stop()
			files := segmentFiles(t, fs, 0)
			gone, readable := shardDir(0), 0
			switch name {
			case "first file":
				gone = files[0]
			case "middle file":
				gone, readable = files[2], 1
			}
			if err := fs.RemoveAll(gone); err != nil {
				t.Fatal(err)
			}
			log, _ = start(t, memOptions(fs))
			s, _ := log.Stream("s")
			wantN(t, s.Shards()[1], 300)
			appendN(t, s.Shards()[1], 300, 1)
			got, err := readUntilError(s.Shards()[0], 300)
			if name == "first file" {
				// As retention leaves it: told by the horizon, never passed over in silence.
				if !errors.Is(err, stream.ErrTrimmed) || s.Shards()[0].Horizon() == 0 {
					t.Fatalf("got %v, horizon %d", err, s.Shards()[0].Horizon())
				}
				return
			}
			var bad *stream.DamageError
			if !errors.As(err, &bad) || len(got) < readable {
				t.Errorf("got %d records and %v, want a DamageError", len(got), err)
			}
			if !errors.As(s.Shards()[0].Err(), &bad) {
				t.Errorf("Err: got %v, want a DamageError", s.Shards()[0].Err())
			}
			if _, err := s.Shards()[0].Submit([]stream.Entry{{}}); !errors.As(err, &bad) {
				t.Errorf("Submit: got %v, want a DamageError", err)
			}
		})
	}
}
