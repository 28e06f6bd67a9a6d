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
	reading       chan struct{} // holds one for each GetRecords that reads
	spread        atomic.Uint64 // records that were shared out without a look at their keys
}

// maxReading bounds the calls of GetRecords that read and encode at the same time, each up
// to 10 MiB. Others wait; none of them waits for its client meanwhile.
const maxReading = 32

// prepare readies the operations on records, after load.
func (d *data) prepare(secret []byte) {
	d.iterators = iteratorSeal(secret)
	d.reading = make(chan struct{}, maxReading)
}

// end ends the subscriptions and lets go of the readers. Others that come are refused.
func (d *data) end() {
	d.subscriptions.endAll(unavailable())
	d.readers.close()
}
