package segment_test

import (
	"fmt"
	"testing"

	"freshet/stream/segment"
	"freshet/stream/vfs"
)

// BenchmarkWrite writes frames over each other's place in the page cache: what it costs
// to checksum and encrypt them.
func BenchmarkWrite(b *testing.B) {
	for _, records := range []int{1, 100, 5000} {
		for _, kind := range []string{"plain", "encrypted"} {
			b.Run(fmt.Sprintf("records=%d/%s", records, kind), func(b *testing.B) {
				f := frame(0, records, 200)
				n := len(f)
				f = append(f, make([]byte, segment.Overhead)...)
				fs := discard{vfs.NewMem()}
				w, err := segment.Create(fs, "a", header)
				if keys := kinds[kind]; keys != nil {
					w, err = segment.CreateEncrypted(fs, "b", header, keys)
				}
				check(b, err)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					check(b, w.Write(f[:n], records, header.Started))
				}
			})
		}
	}
}

// discard is a file system whose files take writes and keep nothing.
type discard struct{ *vfs.Mem }

func (d discard) Create(name string) (vfs.File, error) {
	f, err := d.Mem.Create(name)
	return nowhere{f}, err
}

type nowhere struct{ vfs.File }

func (nowhere) WriteAt(b []byte, at int64) (int, error) { return len(b), nil }
func (nowhere) Sync() error                             { return nil }

// BenchmarkCursor reads a file of 16 MiB from the page cache.
func BenchmarkCursor(b *testing.B) {
	for _, kind := range []string{"plain", "encrypted"} {
		b.Run(kind, func(b *testing.B) {
			keys := kinds[kind]
			fs := vfs.OS{}
			w, err := segment.Create(fs, b.TempDir()+"/a", header)
			if keys != nil {
				w, err = segment.CreateEncrypted(fs, b.TempDir()+"/b", header, keys)
			}
			check(b, err)
			defer w.Close()
			for w.Info().Size < 16<<20 {
				check(b, w.Write(frame(0, 100, 200), 100, header.Started))
			}
			var key *segment.Key
			if keys != nil {
				key, err = segment.ReadKey(w.File(), keys)
				check(b, err)
			}
			b.SetBytes(w.Info().Size)
			b.ReportAllocs()
			var c segment.Cursor
			for b.Loop() {
				c.Reset(w.File(), header.Salt, w.Info().Index.Before(header.Base), header.Base)
				c.Decrypt(key)
				for {
					for r := (segment.Record{}); c.Next(&r); {
					}
					more, err := c.Fill(w.Info().Size, 1<<20)
					check(b, err)
					if !more {
						break
					}
				}
			}
		})
	}
}
