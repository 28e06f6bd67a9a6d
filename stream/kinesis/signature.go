package kinesis

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	signatureAlgorithm = "AWS4-HMAC-SHA256"
	signatureDate      = "20060102T150405Z"
	maxSkew            = 15 * time.Minute
)

// A signature is what a request says of how it was signed, in Signature Version 4:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html.
type signature struct {
	key, scope string   // access key id, and date/region/service/aws4_request
	headers    []string // that are signed, in lower case, in order
	value      string   // hexadecimal
	date       string
	query      bool // it stands in the query
}

// authenticate checks the signature of a request. With AuthOff it only has to be one.
func (s *Service) authenticate(r *http.Request, body []byte) error {
	sig, err := readSignature(r)
	if err != nil {
		return err
	}
	if s.options.AuthOff {
		return nil
	}
	return s.verify(sig, r, body)
}

func forbidden(code, message string) *Error {
	return &Error{Code: code, Message: message, status: http.StatusForbidden}
}

func incomplete(message string) *Error {
	return &Error{Code: "IncompleteSignatureException", Message: message, status: http.StatusForbidden}
}

func readSignature(r *http.Request) (signature, error) {
	sig := signature{date: r.Header.Get("X-Amz-Date")}
	header, query := r.Header.Get("Authorization"), r.URL.Query()
	inQuery := query.Get("X-Amz-Algorithm") != "" || query.Get("X-Amz-Signature") != ""
	fields := map[string]string{}
	switch {
	case header != "" && inQuery:
		return sig, forbidden("InvalidSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case header != "":
		rest, ok := strings.CutPrefix(header, signatureAlgorithm+" ")
		if !ok {
			return sig, incomplete("Unsupported AWS 'algorithm': '" + echo([]byte(header)) + "'.")
		}
		for part := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			fields[name] = value
		}
		if sig.date == "" {
			sig.date = httpDate(r.Header.Get("Date"))
		}
	case inQuery:
		sig.query, sig.date = true, query.Get("X-Amz-Date")
		for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
			fields[name] = query.Get("X-Amz-" + name)
		}
	default:
		return sig, forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if sig.date == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) > 0 {
		return sig, incomplete(strings.Join(missing, " ") + " Authorization=" + echo([]byte(header)))
	}
	sig.key, sig.scope, _ = strings.Cut(fields["Credential"], "/")
	sig.headers, sig.value = strings.Split(fields["SignedHeaders"], ";"), fields["Signature"]
	return sig, nil
}

// httpDate is a Date header in the form that signatures use, "" for none.
func httpDate(s string) string {
	if t, err := http.ParseTime(s); err == nil {
		return t.UTC().Format(signatureDate)
	}
	return s
}

func (s *Service) verify(sig signature, r *http.Request, body []byte) error {
	secret := ""
	for _, k := range s.options.Keys {
		if subtle.ConstantTimeCompare([]byte(k.ID), []byte(sig.key)) == 1 {
			secret = k.Secret
		}
	}
	if secret == "" {
		return forbidden("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	at, err := time.Parse(signatureDate, sig.date)
	if err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got '" + echo([]byte(sig.date)) + "'. See http://en.wikipedia.org/wiki/ISO_8601")
	}
	scope := strings.Split(sig.scope, "/")
	if len(scope) != 4 || scope[0] != at.Format("20060102") || scope[1] != s.options.Region || scope[2] != "kinesis" || scope[3] != "aws4_request" {
		return forbidden("InvalidSignatureException", "Credential should be scoped to a valid region and to service 'kinesis': "+at.Format("20060102")+"/"+s.options.Region+"/kinesis/aws4_request.")
	}
	// Over HTTP/2 the SDK for JavaScript signs the pseudo-header instead.
	if !slices.Contains(sig.headers, "host") && !(r.ProtoMajor == 2 && slices.Contains(sig.headers, ":authority")) {
		return forbidden("InvalidSignatureException", "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if late := s.checkSkew(sig, r, at); late != nil {
		return late
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if given := r.Header.Get("X-Amz-Content-Sha256"); given == "UNSIGNED-PAYLOAD" {
		hash = given
	} else if given != "" && given != hash {
		return forbidden("InvalidSignatureException", "The value of 'x-amz-content-sha256' is not the SHA-256 of the body.")
	}
	canonical := sha256.Sum256([]byte(sig.canonical(r, hash)))
	toSign := strings.Join([]string{signatureAlgorithm, sig.date, sig.scope, hex.EncodeToString(canonical[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range append(scope, toSign) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(key)), []byte(sig.value)) != 1 {
		return forbidden("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// checkSkew refuses what was signed too long ago, or in the future.
func (s *Service) checkSkew(sig signature, r *http.Request, at time.Time) error {
	now, life := s.options.Now().UTC(), maxSkew
	if sig.query {
		if d, err := time.ParseDuration(r.URL.Query().Get("X-Amz-Expires") + "s"); err == nil && d > 0 && d <= 7*24*time.Hour {
			life = d
		}
	}
	stamp := func(t time.Time) string { return t.Format(signatureDate) }
	switch {
	case at.Before(now.Add(-life)):
		return forbidden("InvalidSignatureException", "Signature expired: "+sig.date+" is now earlier than "+stamp(now.Add(-life))+" ("+stamp(now)+" - 15 min.)")
	case at.After(now.Add(maxSkew)):
		return forbidden("InvalidSignatureException", "Signature not yet current: "+sig.date+" is still later than "+stamp(now.Add(maxSkew))+" ("+stamp(now)+" + 15 min.)")
	}
	return nil
}

// canonical is the canonical request.
func (sig signature) canonical(r *http.Request, hash string) string {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range sig.headers {
		values := r.Header.Values(name)
		switch name {
		case "host", ":authority":
			values = []string{r.Host}
		case "content-length":
			if len(values) == 0 {
				values = []string{strconv.FormatInt(r.ContentLength, 10)}
			}
		}
		var clean []string
		for _, v := range values {
			clean = append(clean, strings.Join(strings.Fields(v), " "))
		}
		b.WriteString(name + ":" + strings.Join(clean, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(sig.headers, ";") + "\n" + hash)
	return b.String()
}

func canonicalQuery(q url.Values) string {
	var parts []string
	for name, values := range q {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, v := range values {
			parts = append(parts, escape(name)+"="+escape(v))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// escape encodes as RFC 3986 does.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
