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
	topologyHeader = "freshet-topology %d %08x\n"
	// Version 2 added closed shards, retention and encryption; version 1 is still read.
	topologyVersion = 2
)

type topology struct {
	NextStream uint64           `json:"next_stream"` // never used again, so that no old file passes for a new one
	Streams    []streamTopology `json:"streams"`
}

type streamTopology struct {
	Number    uint64          `json:"number"`
	Name      string          `json:"name"`
	Created   int64           `json:"created"`              // epoch milliseconds
	NextShard ShardID         `json:"next_shard,omitempty"` // never used again; absent in version 1
	Retention int64           `json:"retention,omitempty"`  // milliseconds; 0 means the log's
	Encrypted bool            `json:"encrypted,omitempty"`
	Shards    []shardTopology `json:"shards"` // by rising id
}

type shardTopology struct {
	ID      ShardID   `json:"id"`
	First   string    `json:"first"` // hash keys in decimal, both ends included
	Last    string    `json:"last"`
	Parents []ShardID `json:"parents,omitempty"`
	Created int64     `json:"created"`          // epoch seconds
	Closed  int64     `json:"closed,omitempty"` // by a reshard, epoch milliseconds; 0 while it is open
	End     Offset    `json:"end,omitempty"`    // of a closed shard: after its last record
}

func (t streamTopology) dir() string { return fmt.Sprintf("%06d-%s", t.Number, t.Name) }

func (t topology) encode() ([]byte, error) {
	body, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return nil, err
	}
	body = append(body, '\n')
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	return append(fmt.Appendf(nil, topologyHeader, topologyVersion, sum), body...), nil
}

func decodeTopology(b []byte) (topology, error) {
	var t topology
	line, body, _ := bytes.Cut(b, []byte("\n"))
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	sound := false
	for version := 1; version <= topologyVersion; version++ {
		sound = sound || string(line)+"\n" == fmt.Sprintf(topologyHeader, version, sum)
	}
	if !sound {
		return t, fmt.Errorf("it starts with %.60q; the rest asks for version 1 to %d and the CRC %08x", line, topologyVersion, sum)
	}
	if err := json.Unmarshal(body, &t); err != nil {
		return t, err
	}
	for i := range t.Streams {
		st := &t.Streams[i]
		if n := len(st.Shards); n > 0 {
			st.NextShard = max(st.NextShard, st.Shards[n-1].ID+1)
		}
	}
	return t, nil
}

// clone copies what a change of the topology may touch.
func (t topology) clone() topology {
	t.Streams = slices.Clone(t.Streams)
	for i := range t.Streams {
		t.Streams[i].Shards = slices.Clone(t.Streams[i].Shards)
	}
	return t
}

// find returns the stream of a number, or nil.
func (t topology) find(number uint64) *streamTopology {
	for i := range t.Streams {
		if t.Streams[i].Number == number {
			return &t.Streams[i]
		}
	}
	return nil
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
