package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// KeySize is the length of a key, of the ring or of a file, in bytes.
	KeySize = 32
	// IDSize is the length of a key's id in bytes.
	IDSize = 8
	// NonceSize is the length of the nonce that a data key is wrapped under.
	NonceSize = 12
	// WrappedSize is the length of a wrapped data key: the key and AES-GCM's tag.
	WrappedSize = KeySize + 16
)

// ErrNone says that a key is needed and there is none.
var ErrNone = errors.New("there is no key at hand")

// ErrTampered says that a wrapped key, or what it is bound to, is not what was written.
var ErrTampered = errors.New("the data key is not what was wrapped")

// ID names a key without giving it away: the first bytes of a SHA-256.
type ID [IDSize]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// idDomain keeps an id from being the start of any other hash of the key.
const idDomain = "freshet key id\x00"

func idOf(key []byte) ID {
	sum := sha256.Sum256(append([]byte(idDomain), key...))
	return ID(sum[:IDSize])
}

// MissingError says that a file needs a key that the ring does not hold.
type MissingError struct {
	Want ID
	Have []ID
}

func (e *MissingError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("it is encrypted with key %s, and there is no key at hand", e.Want)
	}
	have := make([]string, len(e.Have))
	for i, id := range e.Have {
		have[i] = id.String()
	}
	return fmt.Sprintf("it is encrypted with key %s; the keys at hand are %s", e.Want, strings.Join(have, ", "))
}

// Ring is a current key and those before it. A nil Ring holds none.
type Ring struct {
	keys []key // the current one first
}

type key struct {
	id   ID
	aead cipher.AEAD
}

// New makes a ring of keys, the current one first.
func New(keys ...[KeySize]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key")
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, more than %d", len(keys), maxKeys)
	}
	r := &Ring{}
	for i := range keys {
		aead, err := newAEAD(keys[i][:])
		if err != nil {
			return nil, err
		}
		k := key{idOf(keys[i][:]), aead}
		if r.find(k.id) != nil {
			return nil, fmt.Errorf("key %s stands there twice; every key is named once, the current one first", k.id)
		}
		r.keys = append(r.keys, k)
	}
	return r, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (r *Ring) find(id ID) cipher.AEAD {
	for i := range r.keys {
		if r.keys[i].id == id {
			return r.keys[i].aead
		}
	}
	return nil
}

// IDs names the keys, the current one first.
func (r *Ring) IDs() []ID {
	if r == nil {
		return nil
	}
	ids := make([]ID, len(r.keys))
	for i := range r.keys {
		ids[i] = r.keys[i].id
	}
	return ids
}

// String names the keys, so that no way of printing a ring shows what they are.
func (r *Ring) String() string { return fmt.Sprintf("keys %v", r.IDs()) }

// GoString is String.
func (r *Ring) GoString() string { return r.String() }

// Wrapped is a data key as it is stored.
type Wrapped struct {
	ID    ID // of the key that it is wrapped with
	Nonce [NonceSize]byte
	Key   [WrappedSize]byte
}

// NewDataKey draws a data key and wraps it with the current key, bound to bytes that
// Unwrap must be given again. The source of chance is that of crypto/rand. Without keys
// the error is ErrNone.
func (r *Ring) NewDataKey(chance io.Reader, bound []byte) (cipher.AEAD, Wrapped, error) {
	if r == nil {
		return nil, Wrapped{}, ErrNone
	}
	var data [KeySize]byte
	defer clear(data[:])
	current := &r.keys[0]
	w := Wrapped{ID: current.id}
	for _, b := range [][]byte{data[:], w.Nonce[:]} {
		if _, err := io.ReadFull(chance, b); err != nil {
			return nil, w, fmt.Errorf("draw a data key: %w", err)
		}
	}
	aead, err := newAEAD(data[:])
	if err != nil {
		return nil, w, err
	}
	current.aead.Seal(w.Key[:0], w.Nonce[:], data[:], bound)
	return aead, w, nil
}

// Unwrap returns the cipher of a data key. The error is a *MissingError when the ring
// does not hold the key it is wrapped with, and ErrTampered when it does and the data key
// or what it is bound to was changed.
func (r *Ring) Unwrap(w Wrapped, bound []byte) (cipher.AEAD, error) {
	if r == nil {
		return nil, &MissingError{Want: w.ID}
	}
	wrapping := r.find(w.ID)
	if wrapping == nil {
		return nil, &MissingError{Want: w.ID, Have: r.IDs()}
	}
	var data [KeySize]byte
	defer clear(data[:])
	if _, err := wrapping.Open(data[:0], w.Nonce[:], w.Key[:], bound); err != nil {
		return nil, ErrTampered
	}
	return newAEAD(data[:])
}

// Holds returns a *MissingError unless the ring holds a key.
func (r *Ring) Holds(id ID) error {
	if r != nil && r.find(id) != nil {
		return nil
	}
	return &MissingError{Want: id, Have: r.IDs()}
}
