package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"path"
	"slices"

	"freshet/stream/vfs"
)

// The topology of a log is one small file, replaced as a whole: a line with the version
// and the CRC-32C of the rest, then JSON.
const (
	topologyFile   = "topology"
	topologyTemp   = "topology.new"
	topologyHeader = "freshet-topology 1 %08x\n"
)

type topology struct {
	NextStream uint64           `json:"next_stream"` // never used again, so that no old file passes for a new one
	Streams    []streamTopology `json:"streams"`
}

type streamTopology struct {
	Number  uint64          `json:"number"`
	Name    string          `json:"name"`
	Created int64           `json:"created"` // epoch milliseconds
	Shards  []shardTopology `json:"shards"`
}

type shardTopology struct {
	ID      ShardID   `json:"id"`
	First   string    `json:"first"` // hash keys in decimal, both ends included
	Last    string    `json:"last"`
	Parents []ShardID `json:"parents,omitempty"`
	Created int64     `json:"created"` // epoch seconds
}

func (t streamTopology) dir() string { return fmt.Sprintf("%06d-%s", t.Number, t.Name) }

func (t topology) encode() ([]byte, error) {
	body, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	return append(fmt.Appendf(nil, topologyHeader, sum), body...), nil
}

func decodeTopology(b []byte) (topology, error) {
	var t topology
	line, body, _ := bytes.Cut(b, []byte("\n"))
	want := fmt.Sprintf(topologyHeader, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	if string(line)+"\n" != want {
		return t, fmt.Errorf("it starts with %.60q; the rest asks for %q", line, want[:len(want)-1])
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return t, err
	}
	return t, nil
}

// readTopology returns an empty topology for an empty directory. A directory that holds
// streams and no topology is damaged.
func readTopology(fs vfs.FS, dir string) (topology, error) {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return topology{}, fmt.Errorf("list %s: %w", dir, err)
	}
	name := path.Join(dir, topologyFile)
	if !slices.Contains(names, topologyFile) {
		for _, n := range names {
			if n != lockFile && n != topologyTemp {
				return topology{}, fmt.Errorf("read topology: %s is missing and %s is there; a log whose topology is lost is not opened as an empty one", name, n)
			}
		}
		return topology{NextStream: 1}, nil
	}
	b, err := readFile(fs, name)
	if err != nil {
		return topology{}, fmt.Errorf("read topology: %w", err)
	}
	t, err := decodeTopology(b)
	if err != nil {
		return t, fmt.Errorf("read topology: %s is damaged: %w", name, err)
	}
	return t, nil
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); int64(n) < size {
		return nil, err
	}
	return b, nil
}

// writeTopology replaces the file durably or leaves the one that is there.
func writeTopology(fs vfs.FS, dir string, t topology) error {
	b, err := t.encode()
	if err != nil {
		return fmt.Errorf("encode topology: %w", err)
	}
	temp := path.Join(dir, topologyTemp)
	if err := fs.RemoveAll(temp); err != nil {
		return fmt.Errorf("write topology: %w", err)
	}
	f, err := fs.Create(temp)
	if err != nil {
		return fmt.Errorf("write topology: %w", err)
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = fs.Rename(temp, path.Join(dir, topologyFile))
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write topology: %w", err)
	}
	return nil
}
