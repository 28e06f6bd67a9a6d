package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"freshet/dashboard"
	"freshet/web/access"
)

// What the templates are given: plain values, everything decided.
type (
	listed struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	headView struct {
		Title   string
		Theme   string // dark, light, or empty for the system's
		Script  string
		Style   string
		Icon    string
		Boards  []listed // for the search
		Session bool     // somebody is signed in and can sign out
	}
	boardView struct {
		Head   headView
		Title  string
		Now    int64            // epoch milliseconds
		Board  *dashboard.Board // given to the page as JSON
		Ranges []string
		Range  string
		Panels []panelView
	}
	panelView struct {
		ID, Title, About, Kind, Class string
		Bare                          bool // only shown: no actions, no focus
	}
	cardView struct {
		ID, Title, About, Foot string
		Panels                 []panelView
	}
	homeView struct {
		Head   headView
		Origin string // of this server, for commands to copy
		Now    int64
		Board  *dashboard.Board // all stats of the cards
		Cards  []cardView
	}
	signInView struct {
		Head  headView
		Next  string
		Wrong string
	}
	errorView struct {
		Head  headView
		Words string
	}
)

// statsOnCard is how many of a board's stat panels its card shows.
const statsOnCard = 6

func (s *server) home(w http.ResponseWriter, r *http.Request) error {
	view := homeView{Head: s.head(r, "Boards"), Now: s.now().UnixMilli(), Origin: "http://" + r.Host}
	if r.TLS != nil {
		view.Origin = "https://" + r.Host
	}
	all := &dashboard.Board{ID: "home", Title: "Boards", Range: "15m"}
	for _, b := range s.boards.All() {
		card := cardView{ID: b.ID, Title: b.Title, About: b.Description, Foot: fmt.Sprintf("%d panels · opens with the last %s", len(b.Panels), b.Range)}
		for _, p := range b.Panels {
			if p.Kind != dashboard.Stat || len(card.Panels) == statsOnCard {
				continue
			}
			p.ID = b.ID + "-" + p.ID
			all.Panels = append(all.Panels, p)
			v := viewOf(&p)
			v.Bare, v.Class = true, ""
			card.Panels = append(card.Panels, v)
		}
		view.Cards = append(view.Cards, card)
	}
	view.Board = all
	return s.render(r.Context(), w, http.StatusOK, homePage(view))
}

func (s *server) board(w http.ResponseWriter, r *http.Request) error {
	b, ok := s.boards.Board(r.PathValue("board"))
	if !ok {
		return &statusError{http.StatusNotFound, "There is no board of this name. The list of boards has all there are."}
	}
	view := boardView{
		Head: s.head(r, b.Title), Title: b.Title, Now: s.now().UnixMilli(),
		Board: b, Ranges: dashboard.Ranges(), Range: b.Range,
	}
	for i := range b.Panels {
		view.Panels = append(view.Panels, viewOf(&b.Panels[i]))
	}
	return s.render(r.Context(), w, http.StatusOK, boardPage(view))
}

func (v panelView) tab() string {
	if v.Bare {
		return "-1"
	}
	return "0"
}

func viewOf(p *dashboard.Panel) panelView {
	return panelView{ID: p.ID, Title: p.Title, About: p.Description, Kind: string(p.Kind), Class: fmt.Sprintf("w%d h%d", p.W, p.H)}
}

func (s *server) head(r *http.Request, title string) headView {
	v := headView{
		Title:  title,
		Script: s.assets.url("app.js"),
		Style:  s.assets.url("style.css"),
		Icon:   s.assets.url("icon.svg"),
	}
	who, err := s.reader(r)
	v.Session = who.Session
	if c, err := r.Cookie("freshet_theme"); err == nil && (c.Value == "dark" || c.Value == "light") {
		v.Theme = c.Value
	}
	if err == nil {
		for _, b := range s.boards.All() {
			v.Boards = append(v.Boards, listed{b.ID, b.Title})
		}
	}
	return v
}

// signInURL is the sign-in page that leads back to next afterwards.
func signInURL(next string) string {
	if next == "/" {
		return "/signin"
	}
	return "/signin?next=" + url.QueryEscape(next)
}

// local returns next if it is a path of this server, or / so that a link to the sign-in
// page cannot lead elsewhere.
func local(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, "\\") {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return next
}

func (s *server) signInPage(w http.ResponseWriter, r *http.Request) error {
	next := local(r.URL.Query().Get("next"))
	if _, err := s.reader(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return s.render(r.Context(), w, http.StatusOK, signInForm(signInView{Head: s.head(r, "Sign in"), Next: next}))
}

func (s *server) signIn(w http.ResponseWriter, r *http.Request) error {
	if s.auth == nil {
		return errNotFound
	}
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	next := local(r.PostFormValue("next"))
	cookie, err := s.auth.SignIn(r, strings.TrimSpace(r.PostFormValue("token")))
	if err != nil {
		view := signInView{Head: s.head(r, "Sign in"), Next: next, Wrong: err.Error()}
		if errors.Is(err, access.ErrUnauthenticated) {
			view.Wrong = "That token is not valid. It may be mistyped, revoked or expired."
		}
		return s.render(r.Context(), w, http.StatusUnauthorized, signInForm(view))
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request) error {
	if s.auth == nil {
		return errNotFound
	}
	cookie, err := s.auth.SignOut(r)
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}
