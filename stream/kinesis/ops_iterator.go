package kinesis

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"freshet/stream"
)

const (
	// iteratorLife is how long an iterator can be used.
	iteratorLife = 5 * time.Minute
	// An iterator is sealed: nonce 12, version 1, stream 8, shard 4, offset 8, issued 8,
	// zeros up to 84, tag 16: 112 bytes, which are 152 characters of base64.
	iteratorPlain = 84
	iteratorBytes = 12 + iteratorPlain + 16
)

// An iterator is a place in a shard, for a while.
type iterator struct {
	stream uint64
	shard  stream.ShardID
	offset stream.Offset
	issued int64 // epoch milliseconds
}

func (s *Service) iteratorSeal() cipher.AEAD {
	key, err := hkdf.Key(sha256.New, s.secret[:], nil, "shard iterator", 32)
	if err != nil {
		panic(err) // 32 bytes are never too long
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return seal
}

func (s *Service) sealIterator(st *streamState, shard *stream.Shard, at stream.Offset) string {
	b := make([]byte, iteratorPlain)
	b[0] = 1
	binary.BigEndian.PutUint64(b[1:], st.stream.Number())
	binary.BigEndian.PutUint32(b[9:], uint32(shard.ID()))
	binary.BigEndian.PutUint64(b[13:], uint64(at))
	binary.BigEndian.PutUint64(b[21:], uint64(s.options.Now().UnixMilli()))
	return base64.StdEncoding.EncodeToString(s.iterators.Seal(nil, nil, b, nil))
}

func (s *Service) openIterator(text string) (iterator, *Error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(b) != iteratorBytes {
		err = errors.New("its length")
	}
	if err == nil {
		b, err = s.iterators.Open(nil, nil, b, nil)
	}
	if err != nil {
		return iterator{}, invalidArgument("Invalid ShardIterator.")
	}
	it := iterator{
		stream: binary.BigEndian.Uint64(b[1:]), shard: stream.ShardID(binary.BigEndian.Uint32(b[9:])),
		offset: stream.Offset(binary.BigEndian.Uint64(b[13:])), issued: int64(binary.BigEndian.Uint64(b[21:])),
	}
	now, issued := s.options.Now(), time.UnixMilli(it.issued)
	if now.Sub(issued) > iteratorLife {
		const form = "Mon Jan 02 15:04:05 MST 2006"
		return it, expiredIterator("Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
			issued.UTC().Format(form), now.UTC().Format(form), iteratorLife.Milliseconds())
	}
	return it, nil
}

func (s *Service) getShardIterator(_ context.Context, in *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	st, err := s.find(in.StreamARN, in.StreamName, in.StreamId)
	if err != nil {
		return nil, err
	}
	shard, err := s.shard(st, *in.ShardId)
	if err != nil {
		return nil, err
	}
	at, failed := s.seek(st, shard, *in.ShardIteratorType, in.StartingSequenceNumber, in.Timestamp)
	if failed != nil {
		return nil, failed
	}
	if isDryRun(in.DryRun) {
		return nil, wouldSucceed()
	}
	return &GetShardIteratorOutput{ShardIterator: s.sealIterator(st, shard, at)}, nil
}

func (s *Service) shard(st *streamState, name string) (*stream.Shard, *Error) {
	id, err := stream.ParseShardID(name)
	if err == nil {
		if shard, ok := st.stream.Shard(id); ok {
			return shard, nil
		}
	}
	return nil, resourceNotFound("Shard %s in stream %s under account %s does not exist", name, st.name, s.options.Account)
}

// sequence reads a sequence number of the stream.
func (s *Service) sequence(st *streamState, text string) (stream.SequenceNumber, error) {
	n, err := stream.ParseSequenceNumber(text)
	if err == nil {
		if shard, ok := st.stream.Shard(n.Shard); ok && shard.FirstSequence().Created == n.Created {
			return n, nil
		}
	}
	return n, invalidArgument("Sequence number %s is not a sequence number of stream %s under account %s.", text, st.name, s.options.Account)
}

// seek finds the offset of a starting position. One below what is kept is the horizon.
func (s *Service) seek(st *streamState, shard *stream.Shard, kind string, sequence *string, at *Timestamp) (stream.Offset, error) {
	p := stream.Position{}
	switch kind {
	case "TRIM_HORIZON":
		p.Kind = stream.TrimHorizon
	case "LATEST":
		p.Kind = stream.Latest
	case "AT_TIMESTAMP":
		if at == nil {
			return 0, invalidArgument("Must specify timestamp parameter for iterator of type %s. Current timestamp parameter: null", kind)
		}
		now := s.options.Now().UnixMilli()
		if int64(*at) > now {
			return 0, invalidArgument("The timestamp parameter cannot be greater than the currentTimestampMillis. timestamp: %d, currentTimestampMillis: %d", int64(*at), now)
		}
		p.Kind, p.Time = stream.AtTimestamp, int64(*at)
	default:
		if sequence == nil {
			return 0, invalidArgument("Must either specify (1) AT_SEQUENCE_NUMBER iterator type and a starting sequence number, or (2) AFTER_SEQUENCE_NUMBER iterator type and a starting sequence number or (3) TRIM_HORIZON iterator type and no starting sequence number or (4) LATEST iterator type and no starting sequence number or (5) AT_TIMESTAMP iterator type and a timestamp")
		}
		n, err := stream.ParseSequenceNumber(*sequence)
		if err != nil || n.Shard != shard.ID() || n.Created != shard.FirstSequence().Created {
			return 0, invalidArgument("Invalid StartingSequenceNumber. It encodes %s, while it was used in a call to a shard with %s", encodes(n, err), shard.ID())
		}
		p.Kind, p.Sequence = stream.AtSequenceNumber, n
		if kind == "AFTER_SEQUENCE_NUMBER" {
			p.Kind = stream.AfterSequenceNumber
		}
	}
	if sequence != nil && p.Kind != stream.AtSequenceNumber && p.Kind != stream.AfterSequenceNumber {
		return 0, invalidArgument("Must not specify a starting sequence number for iterator of type %s", kind)
	}
	o, err := shard.Seek(p)
	switch {
	case errors.Is(err, stream.ErrTrimmed):
		return shard.Horizon(), nil
	case errors.Is(err, stream.ErrNotYet):
		return 0, invalidArgument("StartingSequenceNumber %s used in GetShardIterator on shard %s in stream %s under account %s is invalid because it did not come from this stream.", *sequence, shard.ID(), st.name, s.options.Account)
	}
	return o, err
}

func encodes(n stream.SequenceNumber, err error) string {
	if err != nil {
		return "no shard"
	}
	return n.Shard.String()
}
