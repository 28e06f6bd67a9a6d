package kinesis

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"

	"freshet/stream"
)

// iteratorLife is how long an iterator can be used.
const iteratorLife = 5 * time.Minute

// A shardIterator is a place in a shard. Clients see
//
//	0         8       20             end-16
//	| version | nonce | sealed place | tag |
//
// in base64: 152 bytes, or as many blocks of 16 more as the stream's name needs. Version
// is 1 in eight bytes. The place is sealed with AES-256-GCM under the store's secret, so
// that it outlives a restart and cannot be read or made up, and binds the version:
//
//	0        8       12       20       28       29
//	| stream | shard | offset | issued | length | name | zeros |
//
// with integers in big-endian order, issued in epoch milliseconds.
type shardIterator struct {
	number uint64 // of the stream: one of the same name that is made later is another
	name   string // of the stream
	shard  stream.ShardID
	offset stream.Offset
	issued int64
}

const (
	iteratorVersion = 1
	iteratorHead    = 8
	iteratorNonce   = 12
	iteratorTag     = 16
	iteratorPlace   = 29 // before the name
	iteratorLeast   = 152
	iteratorMost    = 256
)

// iteratorSeal is the seal of iterators under a secret.
func iteratorSeal(secret []byte) cipher.AEAD { return sealFor("shard iterator", secret, cipher.NewGCM) }

// append writes the iterator as clients see it.
func (it *shardIterator) append(dst []byte, seal cipher.AEAD) []byte {
	var room [iteratorMost]byte
	const frame = iteratorHead + iteratorNonce + iteratorTag
	size := iteratorLeast
	for size-frame < iteratorPlace+len(it.name) {
		size += 16
	}
	b := room[:size-iteratorTag]
	binary.BigEndian.PutUint64(b, iteratorVersion)
	head, nonce, place := b[:iteratorHead], b[iteratorHead:iteratorHead+iteratorNonce], b[iteratorHead+iteratorNonce:]
	rand.Read(nonce)
	binary.BigEndian.PutUint64(place, it.number)
	binary.BigEndian.PutUint32(place[8:], uint32(it.shard))
	binary.BigEndian.PutUint64(place[12:], uint64(it.offset))
	binary.BigEndian.PutUint64(place[20:], uint64(it.issued))
	place[28] = byte(len(it.name))
	copy(place[iteratorPlace:], it.name)
	seal.Seal(place[:0], nonce, place, head)
	return base64.StdEncoding.AppendEncode(dst, room[:size])
}

// readIterator reads what append writes.
func readIterator(text string, seal cipher.AEAD) (shardIterator, bool) {
	var it shardIterator
	var room [iteratorMost]byte
	if len(text) > base64.StdEncoding.EncodedLen(iteratorMost) {
		return it, false
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(room[:0], []byte(text))
	if err != nil || len(b) < iteratorLeast || (len(b)-iteratorLeast)%16 != 0 || base64.StdEncoding.EncodedLen(len(b)) != len(text) {
		return it, false
	}
	head, nonce, sealed := b[:iteratorHead], b[iteratorHead:iteratorHead+iteratorNonce], b[iteratorHead+iteratorNonce:]
	place, err := seal.Open(sealed[:0], nonce, sealed, head)
	if err != nil || binary.BigEndian.Uint64(head) != iteratorVersion || iteratorPlace+int(place[28]) > len(place) {
		return it, false
	}
	return shardIterator{
		number: binary.BigEndian.Uint64(place), shard: stream.ShardID(binary.BigEndian.Uint32(place[8:])),
		offset: stream.Offset(binary.BigEndian.Uint64(place[12:])), issued: int64(binary.BigEndian.Uint64(place[20:])),
		name: string(place[iteratorPlace : iteratorPlace+int(place[28])]),
	}, true
}

// appendIterator writes an iterator that begins its life now.
func (s *Service) appendIterator(dst []byte, st *streamState, sh *stream.Shard, at stream.Offset, now time.Time) []byte {
	it := shardIterator{number: st.stream.Number(), name: st.name, shard: sh.ID(), offset: at, issued: now.UnixMilli()}
	return it.append(dst, s.iterators)
}

// iteratorClock is how the service prints a time in a message.
const iteratorClock = "Mon Jan 02 15:04:05 UTC 2006"

// openIterator reads an iterator that a client has sent, and finds its shard.
func (s *Service) openIterator(text string, now time.Time) (*streamState, *stream.Shard, stream.Offset, *Error) {
	it, ok := readIterator(text, s.iterators)
	if !ok {
		return nil, nil, 0, invalidArgument("Invalid ShardIterator.")
	}
	issued := time.UnixMilli(it.issued)
	if now.Sub(issued) > iteratorLife {
		return nil, nil, 0, expiredIterator("Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
			issued.UTC().Format(iteratorClock), now.UTC().Format(iteratorClock), iteratorLife.Milliseconds())
	}
	st, failed := s.find(nil, &it.name, nil)
	if failed == nil && st.stream.Number() != it.number {
		failed = s.noStream(it.name)
	}
	if failed != nil {
		return nil, nil, 0, failed
	}
	sh, ok := st.stream.Shard(it.shard)
	if !ok {
		return nil, nil, 0, s.noShard(st, it.shard)
	}
	return st, sh, it.offset, nil
}
