package kinesis

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// tokenLife is how long a NextToken can be used.
const tokenLife = 300 * time.Second

// A listToken is where a list goes on. Clients see it sealed with AES-GCM under the
// service's secret: it cannot be read or made up.
type listToken struct {
	List     string       `json:"l"` // the operation
	Stream   uint64       `json:"s,omitempty"`
	After    string       `json:"a"` // the last name or id that was listed
	Filter   *shardFilter `json:"f,omitempty"`
	IssuedAt int64        `json:"t"` // epoch milliseconds
}

func (s *Service) sealToken(t listToken) string {
	t.IssuedAt = s.options.Now().UnixMilli()
	b, err := json.Marshal(t)
	if err != nil {
		panic(err) // nothing in it cannot be encoded
	}
	return base64.StdEncoding.EncodeToString(s.tokens.Seal(nil, nil, b, nil))
}

// openToken reads a token of an operation.
func (s *Service) openToken(list, token string) (listToken, *Error) {
	var t listToken
	b, err := base64.StdEncoding.DecodeString(token)
	if err == nil {
		b, err = s.tokens.Open(nil, nil, b, nil)
	}
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil || t.List != list {
		return t, invalidArgument("NextToken is not valid.")
	}
	if issued := time.UnixMilli(t.IssuedAt); s.options.Now().Sub(issued) > tokenLife {
		return t, expiredNextToken("NextToken has expired: it was issued at %s and can be used for %d seconds.", issued.UTC().Format(time.RFC3339), int(tokenLife.Seconds()))
	}
	return t, nil
}
