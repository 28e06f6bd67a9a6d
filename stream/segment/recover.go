package segment

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"freshet/stream/keyring"
	"freshet/stream/vfs"
)

const scanChunk = 1 << 20

// Recovered is what Recover found in the tail of a shard.
type Recovered struct {
	Info         // of the frames that are whole
	Synced int64 // bytes that the frames say were durable
	Marked bool  // the file ends with a frame that says that all before it is durable
	Torn   int64 // bytes after Info.Size that a crash left half written; Resume cuts them

	// The file was being made when a crash came and never held a record. The error says
	// what it lacks; the caller puts another in its place.
	Unfinished bool
}

// Recover reads a file that has no footer from its first frame to its last. Where the
// frames end before the file does, it looks for a frame further on that says that this
// place was synced once: then bytes that were safe are damaged, and the error is a
// *CorruptError, with the frames before the damage in Recovered. Otherwise the rest was
// never synced: it is torn, and no error. Recover writes nothing.
//
// Frames of an encrypted file are decrypted to be checked. Without its key the error is a
// *keyring.MissingError, which says nothing about the file being sound.
func Recover(f vfs.File, keys *keyring.Ring) (*Recovered, error) {
	h, err := ReadHeader(f)
	r := &Recovered{Info: Info{Header: h, End: h.Base, Size: HeaderSize}, Synced: HeaderSize}
	size, sized := f.Size()
	if sized != nil {
		return r, fmt.Errorf("size: %w", sized)
	}
	w := &window{file: f, size: size}
	if err == nil && h.Encrypted {
		w.key, err = ReadKey(f, keys)
	}
	var bad *CorruptError
	if err != nil {
		r.Unfinished = errors.As(err, &bad) && size <= h.start()
		return r, err
	}
	r.Size = h.start()
	for r.Size < size {
		fr, err := w.frame(&r.Info)
		if errors.As(err, &bad) {
			r.Torn = size - r.Size
			return r, w.search(h.Salt, bad)
		}
		if err != nil {
			return r, err
		}
		if fr.kind == kindFooter { // not in its place at the end of a whole trailer: it was not synced
			r.Torn = size - r.Size
			return r, nil
		}
		if fr.count > 0 {
			r.add(fr)
		}
		r.Marked = fr.kind == kindMark && fr.synced == fr.position
		r.Synced = max(r.Synced, fr.synced)
		r.Size += FrameHeaderSize + int64(fr.length)
	}
	return r, nil
}

// window is a part of a file in memory.
type window struct {
	file  vfs.File
	size  int64
	key   *Key  // nil when the file is plain
	at    int64 // position of buf
	buf   []byte
	plain []byte // a decrypted body; buf stays as the file is
}

// bytes returns n bytes at a position, fewer at the end of the file.
func (w *window) bytes(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-at))
	if at < w.at || at+int64(n) > w.at+int64(len(w.buf)) {
		want := int(min(int64(max(n, scanChunk)), w.size-at))
		if cap(w.buf) < want {
			w.buf = make([]byte, want)
		}
		w.at, w.buf = at, w.buf[:want]
		if got, err := w.file.ReadAt(w.buf, at); err != nil && !(errors.Is(err, io.EOF) && got == want) {
			w.buf = w.buf[:0]
			return nil, fmt.Errorf("read at byte %d: %w", at, err)
		}
	}
	return w.buf[at-w.at:][:n], nil
}

// frame checks the frame that follows what info describes, its records included.
func (w *window) frame(info *Info) (frame, error) {
	b, err := w.bytes(info.Size, FrameHeaderSize)
	if err != nil {
		return frame{}, err
	}
	f, err := decodeFrame(b, info.Salt, info.Size)
	if err != nil {
		return frame{}, err
	}
	if f.first != info.End || f.arrived < info.LastArrived {
		return frame{}, corrupt(info.Size, "the frame starts with record %d at %d ms; it should be record %d, not before %d ms",
			f.first, f.arrived, info.End, info.LastArrived)
	}
	if f.kind == kindKey || f.kind == kindRecords && info.Encrypted || f.kind == kindSealed && !info.Encrypted {
		return frame{}, corrupt(info.Size, "a file of version %d has no frame of kind %d there", info.version(), f.kind)
	}
	b, err = w.bytes(info.Size, FrameHeaderSize+f.length)
	if err != nil {
		return frame{}, err
	}
	body := b[FrameHeaderSize:]
	if len(body) < f.length {
		return frame{}, corrupt(info.Size, "the frame has %d bytes, and %d follow", f.length, len(body))
	}
	if got := crc32.Checksum(body, castagnoli); got != f.body {
		return frame{}, corrupt(info.Size, "the body of the frame has CRC %08x, not %08x", got, f.body)
	}
	switch f.kind {
	case kindSealed:
		if w.plain, err = w.key.open(w.plain[:0], b, f); err == nil {
			err = checkRecords(w.plain, f)
		}
	case kindRecords:
		err = checkRecords(body, f)
	}
	return f, err
}

func checkRecords(body []byte, f frame) error {
	var rec Record
	for i := range f.count {
		n := recordSize(body)
		if n == 0 || n > len(body) || !decodeRecord(body[:n], &rec) {
			return corrupt(f.position, "record %d of the frame is not what was written", i)
		}
		body = body[n:]
	}
	if len(body) > 0 {
		return corrupt(f.position, "%d bytes follow the %d records of the frame", len(body), f.count)
	}
	return nil
}

// search returns bad if a frame after it says that the place was synced, nil if none
// does. The salt is looked for byte by byte, since damage may have taken every length.
func (w *window) search(salt uint64, bad *CorruptError) error {
	pattern := le.AppendUint64(nil, salt)
	for at := bad.Position + 1; at+FrameHeaderSize <= w.size; {
		b, err := w.bytes(at, scanChunk)
		if err != nil {
			return err
		}
		n, claim := claims(b, pattern, salt, at, bad.Position)
		if claim != nil {
			return corrupt(bad.Position, "%s; the frame at byte %d says that %d bytes were synced", bad.Reason, claim.position, claim.synced)
		}
		at += int64(n)
	}
	return nil
}

// claims looks in b, which stands at a position of the file, for a frame that says that
// more than synced bytes were synced. If there is none it returns how much of b is done:
// at least one byte, and not what may be the start of a frame.
func claims(b, pattern []byte, salt uint64, at, synced int64) (int, *frame) {
	for i := 0; ; i++ {
		next := bytes.Index(b[i:], pattern)
		if next < 0 {
			return max(len(b)-len(pattern)+1, 1), nil
		}
		if i += next; len(b)-i < FrameHeaderSize {
			return max(i, 1), nil
		}
		if f, err := decodeFrame(b[i:], salt, at+int64(i)); err == nil && f.synced > synced {
			return i, &f
		}
	}
}
