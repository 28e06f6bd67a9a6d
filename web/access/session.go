package access

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	bolt "go.etcd.io/bbolt"
)

// SessionCookie is the name of the cookie that a signed-in browser holds.
const SessionCookie = "freshet_session"

// maxSessions bounds the sessions of all tokens together. A sign-in past it
// ends the session that would expire first.
const maxSessions = 10_000

// storedSession is a session on disk.
type storedSession struct {
	Token   string `json:"token"`   // id of the token it was opened with
	Expires int64  `json:"expires"` // epoch ms
}

// TooManyFailuresError says that an address has failed to sign in too often.
type TooManyFailuresError struct{ RetryAfter time.Duration }

func (e *TooManyFailuresError) Error() string {
	return fmt.Sprintf("too many failed sign-ins from this address; try again in %d s", int(e.RetryAfter.Seconds()+0.999))
}

// SignIn opens a session for the browser that sent r if secret is a token that
// may read, and returns the cookie to set. It returns ErrUnauthenticated for a
// token that is not valid, ErrForbidden for one that may not read, and a
// *TooManyFailuresError for an address that has failed often; a token that is
// right is refused too until that has passed.
func (a *Access) SignIn(r *http.Request, secret string) (*http.Cookie, error) {
	if a.off {
		return nil, ErrOff
	}
	now, address := a.now(), addressOf(r)
	if wait := a.failures.wait(address, now); wait > 0 {
		return nil, &TooManyFailuresError{wait}
	}
	t, err := a.verify(secret)
	if err != nil {
		a.failures.add(address, now)
		return nil, err
	}
	if !t.Scopes.Allow(Read) {
		return nil, ErrForbidden
	}
	value := secretBits()
	s := storedSession{Token: t.ID, Expires: now.Add(a.sessionTTL).UnixMilli()}
	if !t.Expires.IsZero() {
		s.Expires = min(s.Expires, t.Expires.UnixMilli())
	}
	if err := a.addSession(value, s, now); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return sessionCookie(r, value, time.UnixMilli(s.Expires)), nil
}

// sessionCookie returns the cookie that carries value. It is Secure when the
// browser came over TLS, to this server or to one in front of it.
func sessionCookie(r *http.Request, value string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: SessionCookie, Value: value, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

// addressOf returns the address that r came from, without its port. What a
// proxy says of it is not believed, since anybody could say it.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func sessionKey(value string) []byte {
	hash := sha256.Sum256([]byte(value))
	return hash[:]
}

// addSession stores s and ends what has expired.
func (a *Access) addSession(value string, s storedSession, now time.Time) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	a.change.Lock()
	defer a.change.Unlock()
	return a.db.Update(func(tx *bolt.Tx) error {
		sessions := tx.Bucket(bucketSessions)
		if err := deleteSessions(tx, func(s storedSession) bool { return s.Expires <= now.UnixMilli() }); err != nil {
			return err
		}
		var first []byte // the session that expires first
		var count int
		var least int64
		err := sessions.ForEach(func(key, text []byte) error {
			var other storedSession
			if err := json.Unmarshal(text, &other); err != nil {
				return err
			}
			if count++; first == nil || other.Expires < least {
				first, least = append(first[:0], key...), other.Expires
			}
			return nil
		})
		if err != nil {
			return err
		}
		if count >= maxSessions {
			if err := sessions.Delete(first); err != nil {
				return err
			}
		}
		return sessions.Put(sessionKey(value), text)
	})
}

// deleteSessions ends the sessions that which picks.
func deleteSessions(tx *bolt.Tx, which func(storedSession) bool) error {
	sessions := tx.Bucket(bucketSessions)
	var keys [][]byte // a bucket must not change while it is walked
	err := sessions.ForEach(func(key, text []byte) error {
		var s storedSession
		if err := json.Unmarshal(text, &s); err != nil || which(s) {
			keys = append(keys, append([]byte(nil), key...))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := sessions.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// session returns the token behind the session whose cookie r carries.
func (a *Access) session(r *http.Request) (*liveToken, error) {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil || len(cookie.Value) > 128 {
		return nil, ErrUnauthenticated
	}
	var s storedSession
	err = a.db.View(func(tx *bolt.Tx) error {
		text := tx.Bucket(bucketSessions).Get(sessionKey(cookie.Value))
		if text == nil {
			return ErrUnauthenticated
		}
		return json.Unmarshal(text, &s)
	})
	if err != nil {
		return nil, err
	}
	now := a.now()
	if now.UnixMilli() >= s.Expires {
		return nil, ErrUnauthenticated
	}
	a.mu.RLock()
	t := a.tokens[s.Token]
	a.mu.RUnlock()
	if t == nil || t.expired(now) {
		return nil, ErrUnauthenticated
	}
	return t, nil
}

// SignOut ends the session that r carries, if any, and returns the cookie that
// makes the browser forget it.
func (a *Access) SignOut(r *http.Request) (*http.Cookie, error) {
	forget := sessionCookie(r, "", time.Unix(1, 0))
	forget.MaxAge = -1
	if a.off {
		return forget, nil
	}
	cookie, err := r.Cookie(SessionCookie)
	if errors.Is(err, http.ErrNoCookie) {
		return forget, nil
	}
	a.change.Lock()
	defer a.change.Unlock()
	err = a.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketSessions).Delete(sessionKey(cookie.Value)) })
	if err != nil {
		return forget, fmt.Errorf("sign out: %w", err)
	}
	return forget, nil
}
