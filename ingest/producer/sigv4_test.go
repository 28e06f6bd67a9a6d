package producer_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"freshet/ingest/producer"
)

// TestSignature compares with the signature that Amazon's SDK makes of the same request.
func TestSignature(t *testing.T) {
	for _, c := range []producer.Credentials{
		{AccessKey: "AKIDEXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
		{AccessKey: "ASIAEXAMPLE", SecretKey: "secret", SessionToken: "token+/="},
	} {
		s := &signed{service: newService(1)}
		k, err := producer.NewKinesis(producer.KinesisOptions{URL: "https://kinesis.eu-west-1.amazonaws.com", Region: "eu-west-1", Stream: "orders", Credentials: c, Client: &http.Client{Transport: s}})
		if err != nil {
			t.Fatal(err)
		}
		put(t, k, producer.Record{PartitionKey: "a", Data: []byte("x")}, nil)
		if err := k.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := s.header.Get("Authorization")
		req, _ := http.NewRequest(http.MethodPost, "https://kinesis.eu-west-1.amazonaws.com/", bytes.NewReader(s.body))
		for _, name := range []string{"Content-Type", "X-Amz-Target"} {
			req.Header.Set(name, s.header.Get(name))
		}
		at, err := time.Parse("20060102T150405Z", s.header.Get("X-Amz-Date"))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(s.body)
		// The SDK signs the length, too; without it both sign the same headers.
		req.ContentLength = 0
		err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: c.SecretKey, SessionToken: c.SessionToken}, req, hex.EncodeToString(sum[:]), "kinesis", "eu-west-1", at)
		if err != nil {
			t.Fatal(err)
		}
		if want := req.Header.Get("Authorization"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if s.header.Get("X-Amz-Security-Token") != c.SessionToken || !strings.Contains(got, "host;") {
			t.Errorf("got %v", s.header)
		}
	}
}

// signed keeps the last body.
type signed struct {
	*service
	body []byte
}

func (s *signed) RoundTrip(req *http.Request) (*http.Response, error) {
	var err error
	if s.body, err = io.ReadAll(req.Body); err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(s.body))
	return s.service.RoundTrip(req)
}
