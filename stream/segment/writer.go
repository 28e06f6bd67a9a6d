package segment

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"io"

	"freshet/stream/keyring"
	"freshet/stream/vfs"
)

// A Writer appends frames to the file that is the tail of a shard. It has one user at a
// time. After the first error from a method it is of no further use: what the file
// holds past Synced is unknown until Recover has read it.
type Writer struct {
	file   vfs.File
	info   Info
	key    *Key  // of an encrypted file that was made by this Writer, else nil
	synced int64 // bytes of the file that are durable
	marked int64 // what the frames in the file say at most of that
}

// Create makes a file that holds only a header, durably. The caller syncs the directory.
func Create(fs vfs.FS, name string, h Header) (*Writer, error) {
	f, err := fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	if _, err = f.WriteAt(h.encode(), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write header: %w", err)
	}
	return &Writer{file: f, info: Info{Header: h, End: h.Base, Size: HeaderSize}, synced: HeaderSize, marked: HeaderSize}, nil
}

// CreateEncrypted makes a file that holds a header and a new key, wrapped with the current
// one of the ring, durably. The caller syncs the directory.
func CreateEncrypted(fs vfs.FS, name string, h Header, keys *keyring.Ring) (*Writer, error) {
	return createEncrypted(fs, name, h, keys, rand.Reader)
}

func createEncrypted(fs vfs.FS, name string, h Header, keys *keyring.Ring, chance io.Reader) (*Writer, error) {
	h.Encrypted = true
	key, frame, err := newKey(h, keys, chance)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	// The header is durable first: of a file that ends within its key one can always
	// tell that it was to be an encrypted one, without records yet.
	w, err := Create(fs, name, h)
	if err != nil {
		return nil, err
	}
	if _, err = w.file.WriteAt(frame, HeaderSize); err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		w.file.Close()
		return nil, fmt.Errorf("write key: %w", err)
	}
	w.key, w.info.Size = key, h.start()
	w.synced, w.marked = h.start(), h.start()
	return w, nil
}

// Resume goes on with a file that Recover has read: it cuts the torn tail, writes again
// what was not known to be durable and syncs. Writing again matters, because a file
// system may have dropped pages whose sync failed and still show them to readers.
//
// An encrypted file takes no more records: what was torn may have been encrypted with the
// nonce that the next frame would use. The caller seals it and goes on in another.
func Resume(f vfs.File, r *Recovered) (*Writer, error) {
	if r.Torn > 0 {
		if err := f.Truncate(r.Size); err != nil {
			return nil, fmt.Errorf("cut torn tail: %w", err)
		}
	}
	from := r.Synced
	if r.Size == HeaderSize {
		from = 0 // no frame says that even the header was synced
	}
	if err := rewrite(f, from, r.Size); err != nil {
		return nil, fmt.Errorf("resume segment: %w", err)
	}
	marked := r.Synced
	if r.Marked {
		marked = r.Size
	}
	return &Writer{file: f, info: r.Info, synced: r.Size, marked: marked}, nil
}

// Reseal makes a sealed file durable whose footer may never have been synced.
func Reseal(f vfs.File, info *Info) error {
	size, err := f.Size()
	if err == nil {
		err = rewrite(f, info.Size, size)
	}
	if err != nil {
		return fmt.Errorf("seal segment again: %w", err)
	}
	return nil
}

// rewrite puts the bytes from from to end in their place again and syncs.
func rewrite(f vfs.File, from, end int64) error {
	buf := make([]byte, min(end-from, 1<<20))
	for at := from; at < end; {
		b := buf[:min(end-at, int64(len(buf)))]
		if n, err := f.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("read again: %w", err)
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("write again: %w", err)
		}
		at += int64(len(b))
	}
	return f.Sync()
}

// Info describes the file as far as it is written. Its Index may be kept.
func (w *Writer) Info() *Info { return &w.info }

// Synced is the number of bytes that are durable.
func (w *Writer) Synced() int64 { return w.synced }

// File is the file that is written to; the caller may read it below Synced.
func (w *Writer) File() vfs.File { return w.file }

// Write appends a frame of records. The frame has FrameHeaderSize bytes to be filled in,
// then the records, and is encrypted in place if the file is: the caller has no more use
// for its bytes. Arrived must not fall from one frame to the next.
func (w *Writer) Write(b []byte, count int, arrived int64) error {
	f := frame{
		position: w.info.Size, synced: w.synced, first: w.info.End, arrived: arrived, kind: kindRecords,
		length: len(b) - FrameHeaderSize, count: count,
	}
	if w.info.Encrypted {
		var err error
		if b, err = w.seal(&f, b); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
	f.body = crc32.Checksum(b[FrameHeaderSize:], castagnoli)
	f.encode(b, w.info.Salt)
	if _, err := w.file.WriteAt(b, w.info.Size); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	w.info.add(f)
	w.info.Size += int64(len(b))
	w.marked = w.synced
	return nil
}

// seal encrypts the body of a frame and completes what the frame says of it.
func (w *Writer) seal(f *frame, b []byte) ([]byte, error) {
	if w.key == nil {
		return nil, fmt.Errorf("an encrypted file that was recovered takes no more records")
	}
	f.kind = kindSealed
	f.length += Overhead
	f.encode(b, w.info.Salt) // but for the CRC of the body, which nothing is bound to
	return w.key.seal(b, f.position)
}

// Sync makes all that is written durable.
func (w *Writer) Sync() error {
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync segment: %w", err)
	}
	w.synced = w.info.Size
	return nil
}

// Mark appends an empty frame that says how far the file is synced, unless a frame says
// so already. It does not sync: the mark itself may be lost.
func (w *Writer) Mark() error {
	if w.marked == w.synced || w.synced != w.info.Size {
		return nil
	}
	var b [FrameHeaderSize]byte
	f := frame{position: w.info.Size, synced: w.synced, first: w.info.End, arrived: w.info.LastArrived, kind: kindMark}
	f.encode(b[:], w.info.Salt)
	if _, err := w.file.WriteAt(b[:], w.info.Size); err != nil {
		return fmt.Errorf("write mark: %w", err)
	}
	w.info.Size += FrameHeaderSize
	w.marked = w.synced
	return nil
}

// Seal ends the file with a footer and syncs it. The file is then complete; the Writer
// only has Info and Close left.
func (w *Writer) Seal() error {
	if w.synced != w.info.Size {
		if err := w.Sync(); err != nil {
			return err
		}
	}
	if _, err := w.file.WriteAt(w.info.footer(), w.info.Size); err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync footer: %w", err)
	}
	return nil
}

// Close releases the file. It syncs nothing.
func (w *Writer) Close() error { return w.file.Close() }
