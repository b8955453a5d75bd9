// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One list of arguments, printed in three ways. QEMU's option syntax separates by commas and doubles those
 * in values; the shell and XML add their own quoting on top.
 */
#include "vmm/qemu_args.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "contract/trap_abi.h"
#include "util/cleanup.h"

#define MIN_MEMORY_MIB 64
#define MIN_VAULT_MIB 8
#define MIN_MAILBOX_MIB 2
#define MAX_BAR_MIB 1024

#define VAULT_NAME "vault"
#define SOCKET_NAME "qmp.sock"
#define TRAP_NAME "trap.sock"
#define MAX_DIRECTORY (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/" TRAP_NAME))

/* Everything but @n_ram arguments at the start, which libvirt makes itself. */
struct arguments {
	char argv[24][320];
	size_t n, n_ram;
};
_Static_assert(2 * MAX_DIRECTORY + 100 < 320, "a directory of commas fits");

static void __attribute__((format(printf, 3, 4)))
add(struct arguments *arguments, const char *option, const char *format, ...)
{
	va_list ap;

	snprintf(arguments->argv[arguments->n++], sizeof(arguments->argv[0]), "%s", option);
	va_start(ap, format);
	vsnprintf(arguments->argv[arguments->n++], sizeof(arguments->argv[0]), format, ap);
	va_end(ap);
}

/* "a,b" is "a,,b" in a QEMU option. */
static void double_commas(const char *from, char *to, size_t size)
{
	size_t n = 0;

	for (; *from && n + 2 < size; from++) {
		if (*from == ',')
			to[n++] = ',';
		to[n++] = *from;
	}
	to[n] = '\0';
}

/*
 * QEMU gives slots to devices in its own syntax before it looks at those in JSON, as libvirt's are, which name theirs:
 * among these ours have to be in JSON too, to get slots that are left. (QEMU 6.2 and later.)
 */
static void add_device(struct arguments *arguments, bool json, const char *id, const char *master)
{
	if (json)
		add(arguments, "-device",
		    "{\"driver\":\"ivshmem-plain\",\"memdev\":\"%s\",\"master\":\"%s\"}", id,
		    master);
	else
		add(arguments, "-device", "ivshmem-plain,memdev=%s,master=%s", id, master);
}

static void build(const struct qemu_args *args, bool json, struct arguments *ret)
{
	char directory[2 * MAX_DIRECTORY + 1];

	double_commas(args->directory, directory, sizeof(directory));
	*ret = (struct arguments){ .n = 0 };
	add(ret, "-machine", "q35,memory-backend=outguard-ram");
	add(ret, "-m", "%u", args->memory_mib);
	add(ret, "-object", "memory-backend-memfd,id=outguard-ram,size=%uM,share=on",
	    args->memory_mib);
	ret->n_ram = ret->n;
	/*
	 * master=off: QEMU refuses to save or migrate the VM. It would save the vault too, and on loading it die of
	 * writing into its own read-only mapping of it; and no QEMU lets it be written there and read-only for the guest.
	 */
	add(ret, "-object",
	    "memory-backend-file,id=outguard-vault,size=%uM,mem-path=%s/" VAULT_NAME ",share=on,"
	    "readonly=on",
	    args->vault_mib, directory);
	add_device(ret, json, "outguard-vault", "off");
	add(ret, "-object", "memory-backend-memfd,id=outguard-mailbox,size=%uM,share=on",
	    args->mailbox_mib);
	add_device(ret, json, "outguard-mailbox", "on");
	add(ret, "-qmp", "unix:%s/" SOCKET_NAME ",server=on,wait=off", directory);
}

static int check_bar(const char *what, unsigned int mib, unsigned int least, struct error *err)
{
	if (mib >= least && mib <= MAX_BAR_MIB && (mib & (mib - 1)) == 0)
		return 0;
	return error_set(err, -EINVAL, "a %s of %u MiB: give a power of two from %u to %u", what,
			 mib, least, MAX_BAR_MIB);
}

static bool has_control_character(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

int qemu_args_check(const struct qemu_args *args, struct error *err)
{
	const char *directory = args->directory;
	int r;

	if (!directory || directory[0] != '/')
		return error_set(err, -EINVAL, "\"%s\": give an absolute directory",
				 directory ?: "");
	if (strlen(directory) > MAX_DIRECTORY)
		return error_set(err, -ENAMETOOLONG,
				 "%s: give a directory of at most %zu bytes, for a socket's path "
				 "has few",
				 directory, MAX_DIRECTORY);
	if (has_control_character(directory))
		return error_set(err, -EINVAL,
				 "give a directory without control characters in its name");
	if (args->memory_mib < MIN_MEMORY_MIB)
		return error_set(err, -EINVAL, "guest RAM of %u MiB: give at least %u",
				 args->memory_mib, MIN_MEMORY_MIB);
	r = check_bar("vault", args->vault_mib, MIN_VAULT_MIB, err);
	if (r < 0)
		return r;
	return check_bar("mailbox", args->mailbox_mib, MIN_MAILBOX_MIB, err);
}

/* Like mkdir -p. */
static int make_directory(const char *directory, struct error *err)
{
	char path[MAX_DIRECTORY + 2];
	struct stat st;

	snprintf(path, sizeof(path), "%s/", directory);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return error_set(err, -errno, "make the directory %s: %m", path);
		*slash = '/';
	}
	if (stat(path, &st) < 0)
		return error_set(err, -errno, "%s: %m", directory);
	return 0;
}

static int give(const struct qemu_args *args, const char *path, int type, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	const struct passwd *user;

	if (!args->user)
		return 0;
	user = getpwnam(args->user);
	if (!user)
		return error_set(err, -ENOENT,
				 "no user %s on this host; give the one who runs QEMU (Debian's "
				 "libvirt: "
				 "libvirt-qemu)",
				 args->user);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | type);
	if (fd < 0 || fchown(fd, user->pw_uid, (gid_t)-1) < 0)
		return error_set(err, -errno, "give %s to %s: %m", path, args->user);
	return 0;
}

/* A file of another size is left alone: a running VM may have it mapped. */
static int check_vault(int fd, const char *path, off_t size, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "%s: %m", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s is no regular file; move it away", path);
	if (st.st_size != size)
		return error_set(err, -EEXIST,
				 "%s has %lld bytes, not %lld: remove it when no VM uses it", path,
				 (long long)st.st_size, (long long)size);
	return 0;
}

int qemu_args_prepare(const struct qemu_args *args, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	off_t size = (off_t)args->vault_mib << 20;
	char path[MAX_DIRECTORY + sizeof("/" VAULT_NAME)];
	int r;

	r = qemu_args_check(args, err);
	if (r >= 0)
		r = make_directory(args->directory, err);
	if (r >= 0)
		r = give(args, args->directory, O_DIRECTORY, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/" VAULT_NAME, args->directory);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd >= 0 && (fchmod(fd, 0644) < 0 || ftruncate(fd, size) < 0)) {
		r = error_set(err, -errno, "make %s: %m", path);
		unlink(path);
		return r;
	}
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m", path);
	return check_vault(fd, path, size, err);
}

/* For the shell: as it is, where all characters are plain; else in single quotes. */
static void print_quoted(const char *text, FILE *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+=:,./@%";

	if (*text && text[strspn(text, plain)] == '\0') {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	fputc('\'', out);
}

void qemu_args_print(const struct qemu_args *args, FILE *out)
{
	struct arguments arguments;

	build(args, false, &arguments);
	for (size_t i = 0; i < arguments.n; i++) {
		if (i)
			fputc(' ', out);
		print_quoted(arguments.argv[i], out);
	}
	fputc('\n', out);
}

void qemu_args_print_environment(const struct qemu_args *args, FILE *out)
{
	char socket[MAX_DIRECTORY + 64];

	snprintf(socket, sizeof(socket), TRAP_SOCKET_VARIABLE "=%s/" TRAP_NAME, args->directory);
	fputs("LD_PRELOAD=", out);
	print_quoted(args->trap_library, out);
	fputc(' ', out);
	print_quoted(socket, out);
	fputc('\n', out);
}

static void print_xml_value(const char *text, FILE *out)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '\'':
			fputs("&apos;", out);
			break;
		default:
			fputc(*text, out);
		}
}

static void print_libvirt_environment(const struct qemu_args *args, FILE *out)
{
	fputs("  <qemu:env name='LD_PRELOAD' value='", out);
	print_xml_value(args->trap_library, out);
	fputs("'/>\n  <qemu:env name='" TRAP_SOCKET_VARIABLE "' value='", out);
	print_xml_value(args->directory, out);
	fputs("/" TRAP_NAME "'/>\n", out);
}

void qemu_args_print_libvirt(const struct qemu_args *args, FILE *out)
{
	struct arguments arguments;

	build(args, true, &arguments);
	fputs("<memoryBacking>\n"
	      "  <source type='memfd'/>\n"
	      "  <access mode='shared'/>\n"
	      "</memoryBacking>\n"
	      "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n",
	      out);
	for (size_t i = arguments.n_ram; i < arguments.n; i++) {
		fputs("  <qemu:arg value='", out);
		print_xml_value(arguments.argv[i], out);
		fputs("'/>\n", out);
	}
	if (args->trap_library)
		print_libvirt_environment(args, out);
	fputs("</qemu:commandline>\n", out);
}

static struct json_object *path_in(const char *directory, const char *name)
{
	char path[MAX_DIRECTORY + 32];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return json_object_new_string(path);
}

static struct json_object *environment_of(const struct qemu_args *args)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "LD_PRELOAD", json_object_new_string(args->trap_library));
	json_object_object_add(object, TRAP_SOCKET_VARIABLE, path_in(args->directory, TRAP_NAME));
	return object;
}

void qemu_args_print_json(const struct qemu_args *args, FILE *out)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct arguments arguments;

	build(args, false, &arguments);
	for (size_t i = 0; i < arguments.n; i++)
		json_object_array_add(list, json_object_new_string(arguments.argv[i]));
	json_object_object_add(object, "arguments", list);
	json_object_object_add(object, "vault", path_in(args->directory, VAULT_NAME));
	json_object_object_add(object, "qmp", path_in(args->directory, SOCKET_NAME));
	if (args->trap_library)
		json_object_object_add(object, "environment", environment_of(args));
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
