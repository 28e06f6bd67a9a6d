package keyring_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"freshet/stream/keyring"
)

// keyOf is a key of one byte 32 times.
func keyOf(b byte) (k [keyring.KeySize]byte) {
	for i := range k {
		k[i] = b
	}
	return k
}

func in64(b byte) string  { k := keyOf(b); return base64.StdEncoding.EncodeToString(k[:]) }
func inHex(b byte) string { k := keyOf(b); return hex.EncodeToString(k[:]) }

func ids(t *testing.T, bytes ...byte) string {
	t.Helper()
	var keys [][keyring.KeySize]byte
	for _, b := range bytes {
		keys = append(keys, keyOf(b))
	}
	r, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(r.IDs())
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []byte
	}{
		"base64":                {in64(1), []byte{1}},
		"base64 without =":      {strings.TrimRight(in64(1), "="), []byte{1}},
		"base64 for addresses":  {base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)), []byte{0xff}},
		"base64, standard":      {base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)), []byte{0xff}},
		"hex":                   {inHex(0xab), []byte{0xab}},
		"HEX":                   {strings.ToUpper(inHex(0xab)), []byte{0xab}},
		"the first is current":  {in64(2) + "\n" + inHex(1) + "\n", []byte{2, 1}},
		"comments, empty lines": {"# keys\n\n" + in64(2) + " # of 2024\r\n  \t\n#" + in64(3) + "\n" + in64(1), []byte{2, 1}},
		"commas":                {in64(2) + "," + in64(1) + ", " + inHex(3), []byte{2, 1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := keyring.Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(r.IDs()), ids(t, c.want...); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	many := &strings.Builder{}
	for i := range 65 {
		fmt.Fprintln(many, in64(byte(i)))
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":          {"", "there is no key"},
		"only comments":    {"# none\n", "there is no key"},
		"a passphrase":     {"# mine\ncorrect horse battery staple", "line 2: 28 characters that are not base64; a key is 32 bytes"},
		"32 letters":       {strings.Repeat("secr", 8), "line 1: a key of 24 bytes; it has to be 32 bytes"},
		"16 bytes":         {base64.StdEncoding.EncodeToString(make([]byte, 16)), "a key of 16 bytes"},
		"33 bytes":         {base64.StdEncoding.EncodeToString(make([]byte, 33)), "a key of 33 bytes"},
		"half a hex":       {inHex(0xab)[:32], "a key of 24 bytes"},
		"not hex":          {strings.Repeat("secret-z", 8), "64 characters that are not hex"},
		"loose bits":       {strings.TrimRight(in64(0), "=")[:42] + "B", "43 characters that are not base64"},
		"twice":            {in64(1) + "\n" + inHex(1), "stands there twice"},
		"too many":         {many.String(), "65 keys, more than 64"},
		"too much of them": {strings.Repeat("#", 65537), "65537 bytes of keys, more than 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := keyring.Parse(c.text)
			if err == nil || r != nil {
				t.Fatalf("got %v, want an error", r)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to say %q", err, c.want)
			}
			for _, secret := range []string{"correct horse", "secr"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q gives the secret away", err)
				}
			}
		})
	}
}

func TestRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	if _, _, err := keyring.Read(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that there is no file", err)
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640, 0o604} {
		os.Remove(name)
		if err := os.WriteFile(name, []byte("\xef\xbb\xbf"+in64(7)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		r, warning, err := keyring.Read(name)
		if err != nil || fmt.Sprint(r.IDs()) != ids(t, 7) {
			t.Fatalf("got %v, %v", r, err)
		}
		if open := mode&0o077 != 0 && runtime.GOOS != "windows"; open != (warning != "") || open && !strings.Contains(warning, fmt.Sprintf("%s has mode %04o", name, mode)) {
			t.Errorf("mode %o: got the warning %q", mode, warning)
		}
	}
	os.Remove(name)
	if err := os.WriteFile(name, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := keyring.Read(name); err == nil || !strings.Contains(err.Error(), name+": line 1: a key of 6 bytes") {
		t.Errorf("got %v, want the name of the file and the line", err)
	}
}

func TestWrap(t *testing.T) {
	before, _ := keyring.New(keyOf(1))
	after, _ := keyring.New(keyOf(2), keyOf(1))
	bound := []byte("header")
	data, w, err := before.NewDataKey(rand.Reader, bound)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, keyring.NonceSize)
	sealed := data.Seal(nil, nonce, []byte("hello"), nil)
	for name, r := range map[string]*keyring.Ring{"the same": before, "a new key on top": after} {
		got, err := r.Unwrap(w, bound)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if plain, err := got.Open(nil, nonce, sealed, nil); err != nil || string(plain) != "hello" {
			t.Errorf("%s: got %q, %v", name, plain, err)
		}
	}
	_, again, err := after.NewDataKey(rand.Reader, bound)
	if err != nil || again.ID != after.IDs()[0] {
		t.Errorf("got a data key wrapped with %s, %v, want the current one, %s", again.ID, err, after.IDs()[0])
	}
	var missing *keyring.MissingError
	if _, err := before.Unwrap(again, bound); !errors.As(err, &missing) || missing.Want != again.ID || len(missing.Have) != 1 {
		t.Errorf("without the key: got %v", err)
	}
	if _, err := (*keyring.Ring)(nil).Unwrap(w, bound); !errors.As(err, &missing) || len(missing.Have) != 0 {
		t.Errorf("without keys: got %v", err)
	}
	if _, _, err := (*keyring.Ring)(nil).NewDataKey(rand.Reader, bound); err != keyring.ErrNone {
		t.Errorf("without keys: got %v, want ErrNone", err)
	}
	if before.Holds(again.ID) == nil || after.Holds(again.ID) != nil {
		t.Error("Holds does not say what Unwrap does")
	}
	if _, err := before.Unwrap(w, []byte("other")); err != keyring.ErrTampered {
		t.Errorf("bound to something else: got %v, want ErrTampered", err)
	}
	w.Key[3] ^= 1
	if _, err := before.Unwrap(w, bound); err != keyring.ErrTampered {
		t.Errorf("changed: got %v, want ErrTampered", err)
	}
}

// No way of printing a ring shows more than ids.
func TestPrintingShowsNoKey(t *testing.T) {
	r, err := keyring.New(keyOf('S'))
	if err != nil {
		t.Fatal(err)
	}
	want := "keys " + ids(t, 'S')
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, r); got != want {
			t.Errorf("%s: got %s, want %s", verb, got, want)
		}
	}
}

// The id is part of the format: the first bytes of SHA-256("freshet key id\0" + key).
func TestIDStaysTheSame(t *testing.T) {
	if got, want := ids(t, 1), "[8f3c0f928421d78f]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(in64(1) + "\n" + inHex(2) + " # two")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := keyring.Parse(text); err == nil && len(r.IDs()) == 0 {
			t.Error("a ring without keys")
		}
	})
}
