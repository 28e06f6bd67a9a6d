package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/keyring"
	"freshet/stream/vfs"

	"pgregory.net/rapid"
)

const memDir = "data/log"

func memOptions(fs *vfs.Mem) stream.Options {
	return stream.Options{Dir: memDir, FS: fs, SegmentBytes: 8 << 10, Retention: -1}
}

// failOnce makes the n-th call of a kind fail.
func failOnce(fs *vfs.Mem, kind vfs.OpKind, n int64, f vfs.Fault) {
	var left atomic.Int64
	left.Store(n)
	fs.Inject(func(op vfs.Op) *vfs.Fault {
		if op.Kind == kind && left.Add(-1) == 0 {
			return &f
		}
		return nil
	})
}

func appendN(t testing.TB, s *stream.Shard, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		if _, err := s.Append(context.Background(), []stream.Entry{entry("%d %s", i, strings.Repeat("x", i%500))}); err != nil {
			t.Fatal(err)
		}
	}
}

// wantN checks that the first n records are those of appendN.
func wantN(t testing.TB, s *stream.Shard, n int) {
	t.Helper()
	got := readAll(t, s, s.Horizon())
	if len(got) != n {
		t.Fatalf("got %d records, want %d", len(got), n)
	}
	for i, data := range got {
		if want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i%500)); data != want {
			t.Fatalf("record %d: got %.40q, want %.40q", i, data, want)
		}
	}
}

func TestAFailedWriteOrSyncEndsTheShard(t *testing.T) {
	for name, c := range map[string]struct {
		kind  vfs.OpKind
		fault vfs.Fault
		there bool // after reopening
	}{
		"disk full":           {vfs.OpWrite, vfs.Fault{Err: syscall.ENOSPC}, false},
		"short write":         {vfs.OpWrite, vfs.Fault{Err: syscall.ENOSPC, Short: 70}, false},
		"sync":                {vfs.OpSync, vfs.Fault{Err: syscall.EIO}, true},
		"sync that persisted": {vfs.OpSync, vfs.Fault{Err: syscall.EIO, Persisted: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			log, stop := start(t, memOptions(fs))
			shards := create(t, log, "s", 2).Shards()
			appendN(t, shards[0], 0, 5)
			time.Sleep(100 * time.Millisecond) // the mark is written
			failOnce(fs, c.kind, 1, c.fault)
			var failed *stream.FailedError
			if _, err := shards[0].Append(context.Background(), []stream.Entry{entry("5 xxxxx")}); !errors.As(err, &failed) || !errors.Is(err, c.fault.Err) {
				t.Fatalf("got %v, want a FailedError of %v", err, c.fault.Err)
			}
			if _, err := shards[0].Append(context.Background(), []stream.Entry{entry("6")}); !errors.As(err, &failed) {
				t.Fatalf("the next append: got %v, want a FailedError", err)
			}
			if err := shards[0].Err(); !errors.As(err, &failed) {
				t.Fatalf("Err: got %v, want a FailedError", err)
			}
			appendN(t, shards[1], 0, 5)
			wantN(t, shards[0], 5)
			stop()

			log, _ = start(t, memOptions(fs))
			s, _ := log.Stream("s")
			n := 5
			if c.there {
				n = 6
			}
			wantN(t, s.Shards()[0], n)
			appendN(t, s.Shards()[0], n, 3)
			wantN(t, s.Shards()[0], n+3)
		})
	}
}

// A header whose sync failed is seen by the next process, and is not on disk.
func TestAHeaderThatWasDroppedIsWrittenAgain(t *testing.T) {
	for seed := range uint64(20) {
		fs := vfs.NewMem()
		log, stop := start(t, memOptions(fs))
		shard := create(t, log, "s", 1).Shards()[0]
		creates := 0
		fs.Inject(func(op vfs.Op) *vfs.Fault {
			if op.Kind == vfs.OpCreate {
				creates++
			}
			if op.Kind == vfs.OpSync && creates == 1 {
				creates++
				return &vfs.Fault{Err: syscall.EIO}
			}
			return nil
		})
		n := 0
		for shard.Err() == nil {
			if _, err := shard.Append(context.Background(), []stream.Entry{entry("%d %s", n, strings.Repeat("x", n%500))}); err == nil {
				n++
			}
		}
		stop()
		fs = fs.Kill()
		log, stop = start(t, memOptions(fs))
		s, _ := log.Stream("s")
		appendN(t, s.Shards()[0], n, 3)
		fs = fs.Crash(rand.New(rand.NewPCG(seed, 0)))
		stop()
		log, stop = start(t, memOptions(fs))
		s, _ = log.Stream("s")
		if err := s.Shards()[0].Err(); err != nil {
			t.Fatal(err)
		}
		wantN(t, s.Shards()[0], n+3)
		stop()
	}
}

func TestATornTailIsCutAndReported(t *testing.T) {
	fs := vfs.NewMem()
	log, stop := start(t, memOptions(fs))
	shard := create(t, log, "s", 1).Shards()[0]
	appendN(t, shard, 0, 5)
	time.Sleep(100 * time.Millisecond)
	failOnce(fs, vfs.OpWrite, 1, vfs.Fault{Err: syscall.ENOSPC, Short: 99})
	shard.Append(context.Background(), []stream.Entry{entry("%s", strings.Repeat("y", 500))})
	stop()
	log, _ = start(t, memOptions(fs))
	s, _ := log.Stream("s")
	if st := s.Shards()[0].Stats(); st.Torn != 99 || st.Err != nil {
		t.Errorf("got %d torn bytes and %v, want 99 and no error", st.Torn, st.Err)
	}
	wantN(t, s.Shards()[0], 5)
}

// Stored bytes that are frames of the same file, or whole files, are only bytes.
func TestPayloadsThatHoldFramesAreNeverFrames(t *testing.T) {
	fs := vfs.NewMem()
	o := memOptions(fs)
	o.SegmentBytes = 1 << 20
	log, stop := start(t, o)
	shard := create(t, log, "s", 1).Shards()[0]
	file := segmentFiles(t, fs, 0)[0]
	appendN(t, shard, 0, 5)
	var want [][]byte
	for range 4 {
		whole := contents(t, fs, file)
		for _, data := range [][]byte{whole, whole[64:], whole[len(whole)/2:]} {
			if _, err := shard.Append(context.Background(), []stream.Entry{{PartitionKey: string(data[:64]), Data: data}}); err != nil {
				t.Fatal(err)
			}
			want = append(want, data)
		}
	}
	time.Sleep(100 * time.Millisecond)
	// The last record is torn within a payload that holds every frame before it, and one
	// that says that this place was synced, made by someone who knows the salt.
	whole := contents(t, fs, file)
	forged := bytes.Clone(whole[64:128])
	binary.LittleEndian.PutUint64(forged[16:], uint64(len(whole)+1))
	binary.LittleEndian.PutUint32(forged[60:], crc32.Checksum(forged[:60], crc32.MakeTable(crc32.Castagnoli)))
	failOnce(fs, vfs.OpWrite, 1, vfs.Fault{Err: syscall.EIO, Short: 20_000})
	shard.Append(context.Background(), []stream.Entry{{Data: slices.Concat(forged, whole)}})
	stop()
	log, _ = start(t, o)
	s, _ := log.Stream("s")
	shard = s.Shards()[0]
	if st := shard.Stats(); st.Err != nil || st.Torn != 20_000 {
		t.Fatalf("got %d torn bytes and %v, want 20000 and no error", st.Torn, st.Err)
	}
	got := readAll(t, shard, 5)
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal([]byte(got[i]), want[i]) {
			t.Errorf("record %d is not what was stored", i)
		}
	}
}

func shardDir(shard int) string {
	return path.Join(memDir, "000001-s", stream.ShardID(shard).String())
}

func segmentFiles(t rapid.TB, fs *vfs.Mem, shard int) []string {
	t.Helper()
	names, err := fs.ReadDir(shardDir(shard))
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = path.Join(shardDir(shard), names[i])
	}
	return names
}

func contents(t rapid.TB, fs *vfs.Mem, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		t.Fatal(err)
	}
	return b
}

// TestDamageIsFound damages one file of one shard in any place. No record is ever read
// as something else or passed over in silence, and the other shard goes on.
func TestDamageIsFound(t *testing.T) {
	for kind, keys := range map[string]*keyring.Ring{"plain": nil, "encrypted": ring(t, "k")} {
		t.Run(kind, func(t *testing.T) { damageIsFound(t, keys) })
	}
}

func damageIsFound(t *testing.T, keys *keyring.Ring) {
	const n = 60
	fs := vfs.NewMem()
	log, stop := start(t, withKeys(memOptions(fs), keys))
	s := create(t, log, "s", 2)
	if keys != nil {
		if err := s.SetEncrypted(true); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range s.Shards() {
		appendN(t, s, 0, n)
	}
	time.Sleep(100 * time.Millisecond)
	stop()
	files, pristine := segmentFiles(t, fs, 0), snapshot(t, fs)
	rapid.Check(t, func(t *rapid.T) {
		fs := restore(t, pristine)
		k := rapid.IntRange(0, len(files)-1).Draw(t, "file")
		damaged := damage(t, pristine[files[k]], k == len(files)-1)
		if err := fs.Update(files[k], func([]byte) []byte { return damaged }); err != nil {
			t.Fatal(err)
		}
		log, err := stream.Open(withKeys(memOptions(fs), keys))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		s, _ := log.Stream("s")
		if err := s.Shards()[1].Err(); err != nil {
			t.Fatalf("the other shard: %v", err)
		}
		got, err := readUntilError(s.Shards()[0], n)
		for i, d := range got {
			if want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i%500)); d != want {
				t.Fatalf("record %d: got %.40q, want %.40q", i, d, want)
			}
		}
		var bad *stream.DamageError
		if len(got) < n && (!errors.As(err, &bad) || int(bad.Offset) > len(got)) {
			t.Fatalf("got %d of %d records and %v, want a DamageError", len(got), n, err)
		}
		// What Open found, it left as it was.
		if s.Shards()[0].Err() != nil && !bytes.Equal(contents(t, fs, files[k]), damaged) {
			t.Fatal("the damaged file was changed")
		}
	})
}

// damage changes a byte or a run of bytes, or cuts the file. In the tail it spares the
// last frame, the one that says that the frame before it was synced, and with it the
// length: without that frame, damage looks like a tail that never was synced.
func damage(t *rapid.T, data []byte, tail bool) []byte {
	b := bytes.Clone(data)
	reach, ways := len(b), 2
	if tail {
		reach, ways = len(b)-64, 1
	}
	at := rapid.IntRange(0, reach-1).Draw(t, "at")
	switch rapid.IntRange(0, ways).Draw(t, "how") {
	case 0:
		b[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
	case 1:
		clear(b[at:min(reach, at+rapid.IntRange(1, 4096).Draw(t, "run"))])
	case 2:
		b = b[:at]
	}
	return b
}

func readUntilError(s *stream.Shard, n int) ([]string, error) {
	r := s.Reader(0)
	defer r.Close()
	var got []string
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	for len(got) < n {
		records, err := r.Next(ctx, 2000)
		if err != nil {
			return got, err
		}
		for _, rec := range records {
			got = append(got, string(rec.Data))
		}
	}
	return got, nil
}
