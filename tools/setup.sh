# shellcheck shell=bash
# Sourced by app/run, tests/run and .ci/run: what this machine lacks, and the builds. Nothing here runs when sourced.
# Distribution packages first, and only for what is not there; then tools/pins, into .deps/, beside the system.
# Everything speaks on standard error; standard output belongs to the program.

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
deps=$root/.deps
log=$root/build/setup.log
jobs=$(nproc)

say() { printf 'kvasir: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# quiet LOG COMMAND...: runs it with its output in LOG, which is shown when it fails.
quiet() {
    local log=$1
    shift
    if ! "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 60 "$log" >&2
        die "$1 $2 failed; the whole of its output is in $log"
    fi
}

# locked FILE COMMAND...: one run at a time; a second waits for the first.
locked() {
    mkdir -p "${1%/*}"
    (
        flock -n 9 || { say "waiting for another run that is setting up"; flock 9; }
        "${@:2}"
    ) 9>"$1"
}

# --- distribution packages ---

missing=()
# need PACKAGE COMMAND|/FILE: PACKAGE is missing unless the command, or a file of that pattern, is there.
need() {
    if [[ $2 == /* ]]; then compgen -G "$2" >/dev/null && return; else command -v "$2" >/dev/null && return; fi
    missing+=("$1")
}

need_build_packages() {
    need cmake cmake
    need ninja-build ninja
    need g++ c++
    need glslang-tools glslangValidator
    need libvulkan-dev /usr/include/vulkan/vulkan.h
    need xz-utils xz
    need mesa-vulkan-drivers '/usr/share/vulkan/icd.d/lvp_icd*.json'
    need nlohmann-json3-dev /usr/include/nlohmann/json.hpp
    need libcli11-dev /usr/include/CLI/CLI.hpp
    need libpcre2-dev /usr/include/pcre2.h
    need libutf8proc-dev /usr/include/utf8proc.h
    need libstb-dev /usr/include/stb/stb_image_write.h
    need doctest-dev /usr/include/doctest/doctest.h
    need libglfw3-dev /usr/include/GLFW/glfw3.h
    need libmd4c-dev /usr/include/md4c.h
    need libfontconfig-dev /usr/include/fontconfig/fontconfig.h
    need pkg-config pkg-config
    need fonts-dejavu-core /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
    compgen -G '/usr/share/fonts/*/*/*CJK*' >/dev/null || # any that shows Chinese
        need fonts-wqy-microhei '/usr/share/fonts/truetype/*/*[Hh]ei*'
}

need_all_packages() { # for ./tests/run --all
    need clang clang++
    need clang-format clang-format
    need vulkan-validationlayers '/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json'
}

need_late_packages() { # for ./tests/run --all, when clang and .deps are there
    # libFuzzer is a package of its own, named after the version of clang.
    need "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev" "$(clang++ -print-resource-dir)/lib/*/libclang_rt.fuzzer*.a"
}

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

# install_missing WHY: what need() found missing, through apt.
install_missing() {
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null ||
        die "$1 needs packages that Debian calls ${missing[*]}: this system has no apt; try its own names for them"
    [[ $(id -u) == 0 ]] || command -v sudo >/dev/null ||
        die "$1 needs ${missing[*]}: there is no sudo here; try, as root, apt-get install ${missing[*]}"
    say "installing for $1: ${missing[*]}"
    mkdir -p "$root/build"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600)
    as_root "${apt[@]}" update >>"$log" 2>&1 </dev/null || true # one broken third-party source must not stop us
    quiet "$log" as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"
    missing=()
}

# --- .deps: what the distribution has only in an older version ---

# fetch PATH SHA256 FILE: the file of that hash from any of the mirrors that this machine's apt is set to.
fetch() {
    local mirror
    while read -r mirror; do
        /usr/lib/apt/apt-helper download-file "${mirror%/}/$1" "$3" "SHA256:$2" >>"$log" 2>&1 &&
            sha256sum --check --status <<<"$2  $3" && return
    done < <(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '!seen[$0]++')
    return 1
}

# bring NAME: unpacks NAME's pin and calls place_NAME SOURCE TARGET in a folder that becomes .deps/NAME when it is whole.
bring() {
    local name version hash path work=$deps/work.$1
    while read -r name version hash path; do
        [[ $name == "$1" ]] || continue
        [[ -e $deps/$name/$version ]] && return
        rm -rf "$work"
        mkdir -p "$work/source" "$work/target"
        if ! fetch "$path" "$hash" "$work/archive"; then
            say "$name $version: none of this machine's package mirrors has it with the pinned hash"
            continue
        fi
        quiet "$log" tar -xf "$work/archive" -C "$work/source" --strip-components=1
        if ! "place_$name" "$work/source" "$work/target"; then die "$name $version: cannot be put into $deps"; fi
        touch "$work/target/$version"
        rm -rf "${deps:?}/$name"
        mv "$work/target" "$deps/$name"
        rm -rf "$work"
        return
    done <"$root/tools/pins"
    rm -rf "$work"
    return 1
}

place_glslang() {
    say "building the shader compiler (once, about a minute)"
    quiet "$log" cmake -S "$1" -B "$1/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 \
        -DENABLE_OPT=OFF -DENABLE_HLSL=OFF -DENABLE_PCH=OFF -DGLSLANG_TESTS=OFF -DBUILD_EXTERNAL=OFF
    quiet "$log" ninja -C "$1/build" -j "$jobs" glslang-standalone
    mkdir "$2/bin" && cp "$1/build/StandAlone/glslang" "$2/bin/"
}
place_vulkan-headers() { cp -r "$1/vulkan-headers/include" "$2/"; }
place_imgui() { cp -r "$1/." "$2/"; }

# Cooperative matrices came with glslang 13 and Vulkan headers 1.3.255, user textures and fonts on demand with ImGui 1.92.
glslang_is_old() { (($(glslangValidator --version | sed -n 's/^Glslang Version: *[0-9]*:\([0-9]*\).*/\1/p') < 13)); }
headers_are_old() { ! grep -q VK_KHR_cooperative_matrix /usr/include/vulkan/vulkan_core.h; }
imgui_is_there() { [[ -e $deps/imgui ]] || grep -qs 'IMGUI_VERSION_NUM *19[2-9]' /usr/include/imgui/imgui.h; }
# Without a Dear ImGui that is new enough Kvasir is built without its window, and says so when it is asked for it.
window_option() { if imgui_is_there; then echo -DKVASIR_WINDOW=ON; else echo -DKVASIR_WINDOW=OFF; fi; }

bring_deps() {
    local ready=$deps/ready # newer than what it was made by: nothing to look at
    [[ $ready -nt $root/tools/pins && $ready -nt $root/tools/setup.sh ]] || locked "$deps/lock" bring_old_ones
}
bring_old_ones() {
    mkdir -p "$root/build"
    if glslang_is_old; then bring glslang || say "going on with this system's glslang, which has no cooperative matrices"; fi
    if headers_are_old; then bring vulkan-headers || say "going on with this system's Vulkan headers"; fi
    if ! imgui_is_there; then bring imgui || say "going on without the window"; fi
    touch "$deps/ready"
}

# SwiftShader, a second Vulkan driver on the CPU, as Debian's chromium-common carries it. Unpinned, because only the
# tests run it and a distribution keeps just its newest Chromium; apt verifies it by the archive's signature.
bring_swiftshader() {
    [[ -e $deps/swiftshader/vk_swiftshader_icd.json ]] || locked "$deps/lock" unpack_swiftshader ||
        say "no SwiftShader: no package mirror of this machine has a chromium-common that carries it; going on without"
}
unpack_swiftshader() {
    local work=$deps/work.swiftshader
    rm -rf "$work"
    mkdir -p "$work/deb" "$work/target" "$root/build"
    say "fetching SwiftShader"
    {
        (cd "$work/deb" && apt-get download chromium-common) ||
            { as_root apt-get -q update; (cd "$work/deb" && apt-get download chromium-common); }
    } >>"$log" 2>&1 &&
        dpkg -x "$work"/deb/chromium-common_*.deb "$work/deb" &&
        cp "$work"/deb/usr/lib/chromium/{libvk_swiftshader.so,vk_swiftshader_icd.json} "$work/target/" &&
        mv "$work/target" "$deps/swiftshader" &&
        touch "$deps/ready" # so that the builds look again at what .deps has
    local status=$?
    rm -rf "$work"
    return $status
}

# --- builds ---

is_configured() { # DIR [-DNAME=VALUE...]
    local option
    [[ $1/build.ninja -nt $deps/ready ]] || return
    grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$1/CMakeCache.txt" || return
    for option in "${@:2}"; do sed 's/:[A-Z]*=/=/' "$1/CMakeCache.txt" | grep -qxF -- "${option#-D}" || return; done
}

# configure PRESET [-DNAME=VALUE...]: only when it is new, has moved, or .deps or an option has changed.
configure() {
    local dir=$root/build/$1
    if is_configured "$dir" "${@:2}"; then return; fi
    if ! grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt"; then rm -rf "$dir"; fi # CMake refuses a moved one
    mkdir -p "$root/build"
    : >"$dir.log"
    quiet "$dir.log" cmake -S "$root" --preset "$1" "${@:2}"
}

# build PRESET TARGET...: quiet when there is nothing to do; counts on a terminal; the log when it fails.
build() {
    local dir=$root/build/$1 name=$1 line width=${COLUMNS:-80} started='' failed=''
    shift
    while IFS= read -r line; do
        if [[ $line == \[* && -z $started ]]; then say "building $name (log: ${dir#"$root"/}.log)"; started=1; fi
        if [[ $line == \[* && -t 2 ]]; then printf '\r\033[K%s' "${line:0:width-1}" >&2; fi
        if [[ $line == "ninja failed" ]]; then failed=1; fi
        printf '%s\n' "$line" >>"$dir.log"
    done < <(ninja -C "$dir" -j "$jobs" "$@" 2>&1 </dev/null || echo "ninja failed")
    if [[ $started && -t 2 ]]; then printf '\r\033[K' >&2; fi
    if [[ $failed ]]; then
        tail -n 60 "$dir.log" >&2
        die "the build of $name failed; the whole of its output is in $dir.log"
    fi
}
