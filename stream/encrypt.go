package stream

import (
	"errors"
	"fmt"

	"freshet/stream/keyring"
	"freshet/stream/segment"
	"freshet/stream/vfs"
)

// Encrypted says whether what is appended is encrypted on disk.
func (s *Stream) Encrypted() bool { return s.encrypted.Load() }

// SetEncrypted says whether what is appended is encrypted on disk, durably. It holds for
// every record submitted after it has returned nil, and for no record that was durable
// before it was called: those stay as they are until retention drops them. What waits for
// the disk meanwhile may be written either way.
//
// The error is ErrNoKeys, ErrNoStream, or that of the disk, after which the change may be
// there when the log is opened again.
func (s *Stream) SetEncrypted(on bool) error {
	if on && s.log.options.Keys == nil {
		return fmt.Errorf("stream %s: %w", s.name, ErrNoKeys)
	}
	return s.change(func(t *streamTopology) { t.Encrypted = on }, func() {
		s.encrypted.Store(on)
		for _, sh := range s.OpenShards() {
			sh.queue.poke() // to go on in a new file
		}
	})
}

// decrypt gives a cursor the key of its file, if it needs one.
func (s *Shard) decrypt(c *segment.Cursor, f *file, handle vfs.File) error {
	if !f.encrypted {
		return nil
	}
	key, err := segment.ReadKey(handle, s.log.options.Keys)
	if err == nil {
		c.Decrypt(key)
	}
	return err
}

// checkKey looks whether a sealed file can be decrypted. If only the key is missing, this
// is reported, once a key and shard, and does not keep the shard from taking records.
func (s *Shard) checkKey(f vfs.File, name string, info *segment.Info) error {
	if !info.Encrypted {
		return nil
	}
	_, err := segment.ReadKey(f, s.log.options.Keys)
	var missing *keyring.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	if s.lacking != missing.Want {
		s.lacking = missing.Want
		s.log.options.Logger.Error("records cannot be read", "stream", s.stream.name, "shard", s.id, "file", name, "error", err)
	}
	return nil
}
