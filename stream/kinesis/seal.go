package kinesis

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
)

// sealFor derives a key of AES-256-GCM from a secret, another for each purpose. The mode
// is cipher.NewGCM or one like it.
func sealFor(purpose string, secret []byte, mode func(cipher.Block) (cipher.AEAD, error)) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, 32)
	if err != nil {
		panic(err) // 32 bytes are never too long
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	seal, err := mode(block)
	if err != nil {
		panic(err)
	}
	return seal
}
