package aggregate

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits of an expression.
const (
	MaxExpr    = 1000 // bytes
	MaxQueries = 16   // that it may name, and reads, each shift of one counted
	maxDepth   = 50   // of parentheses, functions and signs within each other
)

// An exprNode is a part of an expression: a number, a name, an operator with two
// operands, or a function with its arguments. A minus before an operand is "neg".
type exprNode struct {
	op     string // "number", "name", "text", an operator, or a function
	at     int    // byte of the expression, from 1
	number float64
	text   string
	args   []*exprNode
}

// arities are the functions and how many arguments they take.
var arities = map[string]int{
	"abs": 1, "neg": 1, "cumsum": 1, "deriv": 1,
	"moving_avg": 2, "clamp_min": 2, "clamp_max": 2, "fill": 2, "shift": 2,
}

// An exprParser reads an expression by recursive descent:
//
//	sum     = product { ("+" | "-") product }
//	product = factor { ("*" | "/" | "%") factor }
//	factor  = "-" factor | number | name | function "(" argument { "," argument } ")" | "(" sum ")"
type exprParser struct {
	text  string
	at    int // of what comes next
	depth int
}

// parseExpr reads an expression. Errors name the byte, from 1, at which it goes wrong.
func parseExpr(text string) (*exprNode, error) {
	if len(text) > MaxExpr {
		return nil, fmt.Errorf("has %d bytes; the limit is %d", len(text), MaxExpr)
	}
	p := &exprParser{text: text}
	n, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.peek() != 0 {
		return nil, p.wrong("an operator or the end")
	}
	return n, nil
}

// peek skips blanks and returns the next byte, 0 at the end.
func (p *exprParser) peek() byte {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *exprParser) wrong(want string) error {
	got := "the end"
	if c := p.peek(); c != 0 {
		got = strconv.Quote(p.text[p.at:min(len(p.text), p.at+1)])
	}
	return fmt.Errorf("at byte %d: got %s, want %s", p.at+1, got, want)
}

// binary reads operands that any of the operators joins, from left to right.
func (p *exprParser) binary(operators string, operand func() (*exprNode, error)) (*exprNode, error) {
	left, err := operand()
	for err == nil {
		c := p.peek()
		if c == 0 || strings.IndexByte(operators, c) < 0 {
			return left, nil
		}
		at := p.at + 1
		p.at++
		var right *exprNode
		right, err = operand()
		left = &exprNode{op: string(c), at: at, args: []*exprNode{left, right}}
	}
	return nil, err
}

func (p *exprParser) sum() (*exprNode, error) { return p.binary("+-", p.product) }

func (p *exprParser) product() (*exprNode, error) { return p.binary("*/%", p.factor) }

func (p *exprParser) factor() (*exprNode, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("at byte %d: more than %d parts within each other", p.at+1, maxDepth)
	}
	defer func() { p.depth-- }()
	c, at := p.peek(), p.at+1
	switch {
	case c == '-':
		p.at++
		x, err := p.factor()
		return &exprNode{op: "neg", at: at, args: []*exprNode{x}}, err
	case c == '(':
		p.at++
		x, err := p.sum()
		if err == nil {
			err = p.take(')')
		}
		return x, err
	case c >= '0' && c <= '9' || c == '.':
		return p.number()
	case isLetter(c):
		name := p.word()
		if p.peek() != '(' {
			return &exprNode{op: "name", at: at, text: name}, nil
		}
		return p.call(name, at)
	}
	return nil, p.wrong("a number, a name, a function or (")
}

func (p *exprParser) take(c byte) error {
	if p.peek() != c {
		return p.wrong(strconv.Quote(string(c)))
	}
	p.at++
	return nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func (p *exprParser) word() string {
	from := p.at
	for p.at < len(p.text) && (isLetter(p.text[p.at]) || p.text[p.at] >= '0' && p.text[p.at] <= '9') {
		p.at++
	}
	return p.text[from:p.at]
}

func (p *exprParser) number() (*exprNode, error) {
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		sign := (c == '+' || c == '-') && p.at > from && (p.text[p.at-1] == 'e' || p.text[p.at-1] == 'E')
		if !(c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || sign) {
			break
		}
		p.at++
	}
	x, err := strconv.ParseFloat(p.text[from:p.at], 64)
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %s is not a number", from+1, p.text[from:p.at])
	}
	return &exprNode{op: "number", at: from + 1, number: x}, nil
}

// call reads the arguments of a function. Text is allowed as the last of those that
// take a length of time.
func (p *exprParser) call(name string, at int) (*exprNode, error) {
	n, known := arities[name]
	if !known || name == "neg" {
		return nil, fmt.Errorf("at byte %d: there is no function %s; there are abs, clamp_max, clamp_min, cumsum, deriv, fill, moving_avg and shift", at, name)
	}
	x := &exprNode{op: name, at: at}
	p.at++ // the parenthesis
	for {
		var arg *exprNode
		var err error
		if p.peek() == '"' && len(x.args) == 1 && (name == "moving_avg" || name == "shift") {
			arg, err = p.quoted()
		} else {
			arg, err = p.sum()
		}
		if err != nil {
			return nil, err
		}
		x.args = append(x.args, arg)
		if p.peek() != ',' {
			break
		}
		p.at++
	}
	if err := p.take(')'); err != nil {
		return nil, err
	}
	if len(x.args) != n {
		return nil, fmt.Errorf("at byte %d: %s has %d arguments, want %d", at, name, len(x.args), n)
	}
	return x, nil
}

func (p *exprParser) quoted() (*exprNode, error) {
	at := p.at + 1
	end := strings.IndexByte(p.text[at:], '"')
	if end < 0 {
		return nil, fmt.Errorf("at byte %d: the quotation does not end", at)
	}
	p.at = at + end + 1
	return &exprNode{op: "text", at: at, text: p.text[at : at+end]}, nil
}
