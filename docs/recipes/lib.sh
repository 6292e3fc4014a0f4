# What the recipes share: each step says what it is about and prints what Giro answers.
GIRO=${GIRO:-http://127.0.0.1:8080}

post() { curl -sS "$GIRO$1" -H 'content-type: application/json' -d "$2"; }

transfer() { printf '\n# %s\n' "$1"; post /transfer "$2"; echo; }
transfers() { printf '\n# %s\n' "$1"; post /transfers "$2"; echo; }
account() { printf '\n# %s\n' "$1"; curl -sS "$GIRO/accounts/$2"; echo; }

# Only the outcomes: a second run finds the accounts with the balances that the first has left.
accounts() { printf '\n# %s\n' "$1"; post /accounts "$2" | grep -o '"outcome":"[a-z_]*"'; }
