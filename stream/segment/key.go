package segment

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"freshet/stream/keyring"
)

// The body of the key frame, which stands behind the header of an encrypted file:
//
//	0         4    12      24            72
//	| version | id | nonce | wrapped key |
//
// The data key is encrypted with AES-256-GCM under the key of that id, and its tag; the
// additional data is the header of the file.
const (
	keyVersion   = 1
	keyBodySize  = 4 + keyring.IDSize + keyring.NonceSize + keyring.WrappedSize
	keyFrameSize = FrameHeaderSize + keyBodySize
)

// boundSize is how much of a frame's header the encrypted body is bound to: all but the
// CRC of the body and what follows it.
const boundSize = 52

// errNoKey is what a caller gets that read FORMAT.md and not Header.Encrypted.
var errNoKey = errors.New("the frames are encrypted, and the cursor has no key")

// Key encrypts the frames of one file and decrypts them. It has one user at a time.
type Key struct {
	aead  cipher.AEAD
	last  int64 // position of the last frame that was encrypted
	nonce [keyring.NonceSize]byte
}

// newKey draws the key of a file, and returns the frame that holds it, too.
func newKey(h Header, keys *keyring.Ring, chance io.Reader) (*Key, []byte, error) {
	aead, w, err := keys.NewDataKey(chance, h.encode())
	if err != nil {
		return nil, nil, err
	}
	b := make([]byte, FrameHeaderSize, keyFrameSize)
	b = le.AppendUint32(b, keyVersion)
	b = append(b, w.ID[:]...)
	b = append(b, w.Nonce[:]...)
	b = append(b, w.Key[:]...)
	f := frame{
		position: HeaderSize, synced: HeaderSize, first: h.Base, kind: kindKey, length: keyBodySize,
		body: crc32.Checksum(b[FrameHeaderSize:], castagnoli),
	}
	f.encode(b, h.Salt)
	return &Key{aead: aead}, b, nil
}

// ReadKey unwraps the key of an encrypted file. The error is a *keyring.MissingError when
// the ring does not hold the key that it is wrapped with, and a *CorruptError when the
// bytes are not those of a key.
func ReadKey(f io.ReaderAt, keys *keyring.Ring) (*Key, error) {
	b := make([]byte, HeaderSize+keyFrameSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read key: %w", err)
	}
	b = b[:n]
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	if !h.Encrypted {
		return nil, corrupt(0, "the file has version %d, which has no key", h.version())
	}
	w, err := decodeKey(b[HeaderSize:], h)
	if err != nil {
		return nil, err
	}
	aead, err := keys.Unwrap(w, b[:HeaderSize])
	if errors.Is(err, keyring.ErrTampered) {
		return nil, corrupt(HeaderSize, "%v", err)
	}
	if err != nil {
		return nil, err
	}
	return &Key{aead: aead}, nil
}

func decodeKey(b []byte, h Header) (keyring.Wrapped, error) {
	var w keyring.Wrapped
	f, err := decodeFrame(b, h.Salt, HeaderSize)
	if err != nil {
		return w, err
	}
	if f.kind != kindKey || f.first != h.Base {
		return w, corrupt(HeaderSize, "a frame of kind %d stands where the key should", f.kind)
	}
	if b = b[FrameHeaderSize:]; len(b) < keyBodySize || crc32.Checksum(b, castagnoli) != f.body {
		return w, corrupt(HeaderSize, "the key is not what was written")
	}
	if v := le.Uint32(b); v != keyVersion {
		return w, fmt.Errorf("the key of the segment has version %d; this program reads %d", v, keyVersion)
	}
	b = b[4:]
	b = b[copy(w.ID[:], b):]
	b = b[copy(w.Nonce[:], b):]
	copy(w.Key[:], b)
	return w, nil
}

// at sets the nonce to that of the frame at a position.
func (k *Key) at(position int64) []byte {
	le.PutUint64(k.nonce[:], uint64(position))
	return k.nonce[:]
}

// seal encrypts what follows the header of a frame, in place if there is room for
// Overhead bytes behind it. It refuses a position that has been used or passed: the same
// nonce with other bytes would give both away.
func (k *Key) seal(b []byte, position int64) ([]byte, error) {
	if position <= k.last {
		return nil, fmt.Errorf("a frame at byte %d, where one at byte %d was encrypted before", position, k.last)
	}
	k.last = position
	body := k.aead.Seal(b[FrameHeaderSize:FrameHeaderSize], k.at(position), b[FrameHeaderSize:], b[:boundSize])
	if cap(b) >= FrameHeaderSize+len(body) {
		return b[:FrameHeaderSize+len(body)], nil
	}
	return append(b[:FrameHeaderSize:FrameHeaderSize], body...), nil
}

// open decrypts the body of a frame, whose header b starts with, and appends it to dst,
// which is the body's own place or one that shares no byte with it.
func (k *Key) open(dst, b []byte, f frame) ([]byte, error) {
	plain, err := k.aead.Open(dst, k.at(f.position), b[FrameHeaderSize:], b[:boundSize])
	if err != nil {
		return dst, corrupt(f.position, "the frame is not what was encrypted")
	}
	return plain, nil
}
