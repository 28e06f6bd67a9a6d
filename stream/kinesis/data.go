package kinesis

import (
	"crypto/cipher"
	"sync/atomic"
)

// data is what the operations on records share. Nothing of it is stored: iterators are
// sealed under the secret that the store has.
type data struct {
	iterators     cipher.AEAD
	readers       readers
	throttles     throttles
	subscriptions subscriptions
	buffers       buffers
	spread        atomic.Uint64 // records that were shared out without a look at their keys
}

// prepare readies the operations on records, after load.
func (d *data) prepare(secret []byte) { d.iterators = iteratorSeal(secret) }

// end ends the subscriptions and lets go of the readers. Others that come are refused.
func (d *data) end() {
	d.subscriptions.endAll(unavailable())
	d.readers.close()
}
