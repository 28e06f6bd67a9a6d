package dashboard

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed boards/*.toml
var ready embed.FS

// Boards are the boards of a server in the order in which they are listed. It is
// never changed, so it may be read by any number of goroutines.
type Boards struct {
	list []*Board
	byID map[string]*Board
}

// ReadyBoards returns the boards that come with Freshet: "host", the machine that
// the server runs on, and "shop", the simulated web shop of the demo.
func ReadyBoards() (*Boards, error) {
	b := &Boards{byID: map[string]*Board{}}
	files, err := ready.ReadDir("boards")
	if err != nil {
		return nil, fmt.Errorf("ready boards: %w", err)
	}
	for _, f := range files {
		text, err := ready.ReadFile("boards/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("ready boards: %w", err)
		}
		board, err := Parse(strings.TrimSuffix(f.Name(), ".toml"), text)
		if err != nil {
			return nil, err
		}
		b.list = append(b.list, board)
		b.byID[board.ID] = board
	}
	return b, nil
}

// All returns every board, in the order in which they are listed.
func (b *Boards) All() []*Board { return b.list }

// Board returns the board that is called id.
func (b *Boards) Board(id string) (*Board, bool) {
	board, ok := b.byID[id]
	return board, ok
}
