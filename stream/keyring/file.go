package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

const (
	maxKeys      = 64
	maxFileBytes = 64 << 10
)

// Parse reads keys in the format of a key file. No error quotes what it was given.
func Parse(text string) (*Ring, error) {
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%d bytes of keys, more than %d", len(text), maxFileBytes)
	}
	var keys [][KeySize]byte
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		for part := range strings.SplitSeq(line, ",") {
			part = strings.TrimSpace(part)
			if part == "" {
				continue
			}
			k, err := parseKey(part)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			keys = append(keys, k)
		}
	}
	return New(keys...)
}

// parseKey reads one key, in hex if it is as long as one in hex.
func parseKey(s string) (k [KeySize]byte, err error) {
	var b []byte
	form := "hex"
	if len(s) == hex.EncodedLen(KeySize) {
		b, err = hex.DecodeString(s)
	} else {
		form = "base64"
		standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
		b, err = base64.RawStdEncoding.Strict().DecodeString(standard)
	}
	if err != nil {
		// What the decoder says quotes a character of the secret.
		return k, fmt.Errorf("%d characters that are not %s; a key is %d bytes in base64 (44 characters) or hex (64)", len(s), form, KeySize)
	}
	if len(b) != KeySize {
		return k, fmt.Errorf("a key of %d bytes; it has to be %d bytes, in base64 (44 characters) or hex (64)", len(b), KeySize)
	}
	return [KeySize]byte(b), nil
}

// Read reads a key file. The warning, if there is one, is for the log: the ring can be
// used all the same.
func Read(name string) (r *Ring, warning string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, "", fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", fmt.Errorf("key file: %w", err)
	}
	if m := info.Mode(); m.IsRegular() && m.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		warning = fmt.Sprintf("key file %s has mode %04o: others than its owner can get at the keys; 0600 is enough", name, m.Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, warning, fmt.Errorf("key file: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if r, err = Parse(string(text)); err != nil {
		return nil, warning, fmt.Errorf("key file %s: %w", name, err)
	}
	return r, warning, nil
}
