/* A Vulkan layer that fails the n-th call of a kind, as a GPU or its driver does.
 *
 *   cc -shared -fPIC -O1 -Wl,-z,nodelete -o libfaults.so vulkan.c
 *   VK_LAYER_PATH=folder VK_INSTANCE_LAYERS=VK_LAYER_PENTIMENTO_faults FAULTS_GPU=lost:3 pentimento ...
 *
 * The folder holds a manifest that names the library; tests/cli/gpu_faults.rs writes one.
 *
 * FAULTS_GPU      KIND:N fails the N-th call of this kind. KIND:0 fails none.
 * FAULTS_GPU_LOG  A file that gets a line when the call was met: its name.
 *
 * A driver that runs on the CPU is shown as a discrete GPU, so that programs choose it by themselves.
 * Declares what it needs of Vulkan itself: the layouts of Vulkan 1.0 never change. All devices of a
 * process are taken to have the same driver. */

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef int32_t result;
typedef void *handle;
typedef uint64_t object;
typedef void (*function)(void);
typedef function (*get_function)(handle, const char *);

enum { SUCCESS = 0, TIMEOUT = 2, NO_HOST_MEMORY = -1, NO_DEVICE_MEMORY = -2, NO_START = -3, LOST = -4, NO_MAP = -5 };
enum { DISCRETE = 2, ON_CPU = 4, INSTANCE_LINK = 47, DEVICE_LINK = 48 };

/* What a call does. */
enum { DEVICE = 1, BUFFER = 2, MEMORY = 4, SHADER = 8, PIPELINE = 16, SUBMIT = 32, WAIT = 64, MAP = 128 };

static const struct kind {
    const char *name;
    int calls;
    result error;
} KINDS[] = {
    {"device", DEVICE, NO_START},
    {"buffer", BUFFER, NO_HOST_MEMORY},
    {"memory", MEMORY, NO_DEVICE_MEMORY},
    {"shader", SHADER, NO_HOST_MEMORY},
    {"pipeline", PIPELINE, NO_DEVICE_MEMORY},
    {"map", MAP, NO_MAP},
    /* From there on, everything that asks the device says so. */
    {"lost", SUBMIT, LOST},
    {"lost-while-waiting", WAIT, LOST},
    /* The device never becomes ready. */
    {"hang", WAIT, TIMEOUT},
};

static const struct kind *plan;
static long place;
static const char *log_path;
static atomic_long met;
static atomic_int over;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("FAULTS_GPU");
    log_path = getenv("FAULTS_GPU_LOG");
    if (!text) return;
    size_t len = strcspn(text, ":");
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (strlen(KINDS[i].name) == len && !strncmp(KINDS[i].name, text, len) && text[len] == ':') {
            plan = &KINDS[i];
            place = atol(text + len + 1);
        }
    if (!plan) {
        fprintf(stderr, "faults: FAULTS_GPU=%s names no kind and place\n", text);
        _exit(99);
    }
}

static get_function next_of_device;
static handle the_device;
/* A program that opens a device again may have loaded its driver again. */
static int devices;

/* Whether this call fails. A device that is lost does nothing more, so that all may be destroyed. */
static int fails(int call, const char *name) {
    if (!plan || !(plan->calls & call)) return 0;
    if (atomic_fetch_add(&met, 1) + 1 != place) return 0;
    if (plan->error == LOST || plan->error == TIMEOUT) over = 1;
    if (plan->error == LOST) ((result(*)(handle))next_of_device(the_device, "vkDeviceWaitIdle"))(the_device);
    int log = log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (log >= 0) {
        ssize_t unused = write(log, name, strlen(name)) + write(log, "\n", 1);
        (void)unused;
        close(log);
    }
    return 1;
}

/* The chains through which the loader hands the next layer's functions. */
struct start {
    int32_t type;
    struct start *next;
};
struct link {
    struct link *next;
    get_function instance, other;
};
struct with_link {
    int32_t type;
    struct start *next;
    int32_t what;
    struct link *link;
};

/* What the next layer or the driver does with an instance. */
struct instance {
    /* The table that the loader puts at the begin of the instance and its physical devices. */
    void *table;
    get_function next;
    result (*vkCreateDevice)(handle, const void *, const void *, handle *);
    void (*vkGetPhysicalDeviceProperties)(handle, uint32_t *);
    void (*vkGetPhysicalDeviceProperties2)(handle, struct start *);
    void (*vkGetPhysicalDeviceProperties2KHR)(handle, struct start *);
};

#define INSTANCES 256
static struct instance instances[INSTANCES];
static atomic_int known;

/* A later instance may have the place of one that is gone. */
static struct instance *of_instance(handle of) {
    for (int i = known - 1; i >= 0; i--)
        if (instances[i].table == *(void **)of) return &instances[i];
    abort();
}

/* A call of a device that fails or is passed on. */
#define CALL(name, kind, types, values)                                                                  \
    static result name types {                                                                           \
        static result (*real) types;                                                                     \
        static int of;                                                                                   \
        if (of != devices) real = (result(*) types)next_of_device(the_device, #name), of = devices;      \
        if (fails(kind, #name)) return plan->error;                                                      \
        return real values;                                                                              \
    }

/* One that tells of a lost device from then on. */
#define ASK(name, kind, types, values)                                                                   \
    static result name types {                                                                           \
        static result (*real) types;                                                                     \
        static int of;                                                                                   \
        if (of != devices) real = (result(*) types)next_of_device(the_device, #name), of = devices;      \
        if (fails(kind, #name) || (over && (plan->error == LOST || (kind) == WAIT))) return plan->error; \
        return real values;                                                                              \
    }

CALL(vkCreateBuffer, BUFFER, (handle d, const void *info, const void *by, object *to), (d, info, by, to))
CALL(vkAllocateMemory, MEMORY, (handle d, const void *info, const void *by, object *to), (d, info, by, to))
CALL(vkCreateShaderModule, SHADER, (handle d, const void *info, const void *by, object *to), (d, info, by, to))
CALL(vkCreateComputePipelines, PIPELINE,
     (handle d, object cache, uint32_t count, const void *info, const void *by, object *to),
     (d, cache, count, info, by, to))
CALL(vkMapMemory, MAP, (handle d, object memory, uint64_t at, uint64_t bytes, uint32_t flags, void **to),
     (d, memory, at, bytes, flags, to))
ASK(vkQueueSubmit, SUBMIT, (handle queue, uint32_t count, const void *what, object fence),
    (queue, count, what, fence))
ASK(vkWaitSemaphores, WAIT, (handle d, const void *info, uint64_t patience), (d, info, patience))
ASK(vkWaitSemaphoresKHR, WAIT, (handle d, const void *info, uint64_t patience), (d, info, patience))
ASK(vkWaitForFences, WAIT, (handle d, uint32_t count, const object *fences, uint32_t all, uint64_t patience),
    (d, count, fences, all, patience))
ASK(vkGetFenceStatus, 0, (handle d, object fence), (d, fence))
ASK(vkDeviceWaitIdle, 0, (handle d), (d))
ASK(vkQueueWaitIdle, 0, (handle queue), (queue))

/* A device that hangs gets no further. */
static result counted(const char *name, handle d, object semaphore, uint64_t *value) {
    typedef result (*real)(handle, object, uint64_t *);
    if (over && plan->error == LOST) return LOST;
    if (over) return *value = 0, SUCCESS;
    return ((real)next_of_device(the_device, name))(d, semaphore, value);
}
static result vkGetSemaphoreCounterValue(handle d, object semaphore, uint64_t *value) {
    return counted("vkGetSemaphoreCounterValue", d, semaphore, value);
}
static result vkGetSemaphoreCounterValueKHR(handle d, object semaphore, uint64_t *value) {
    return counted("vkGetSemaphoreCounterValueKHR", d, semaphore, value);
}

static struct with_link *chain(const void *info, int32_t type) {
    struct start *at = ((struct start *)info)->next;
    while (at && (at->type != type || ((struct with_link *)at)->what != 0)) at = at->next;
    return (struct with_link *)at;
}

static result vkCreateInstance(const void *info, const void *by, handle *to) {
    struct with_link *found = chain(info, INSTANCE_LINK);
    if (!found) return NO_START;
    get_function next = found->link->instance;
    found->link = found->link->next;
    result done = ((result(*)(const void *, const void *, handle *))next(NULL, "vkCreateInstance"))(info, by, to);
    if (done != SUCCESS) return done;
    /* Later the loader would give its own functions, which call these. */
    struct instance it = {.table = *(void **)*to, .next = next};
#define NEXT(name) it.name = (void *)next(*to, #name)
    NEXT(vkCreateDevice);
    NEXT(vkGetPhysicalDeviceProperties);
    NEXT(vkGetPhysicalDeviceProperties2);
    NEXT(vkGetPhysicalDeviceProperties2KHR);
    if (known == INSTANCES) abort();
    instances[known] = it;
    known++;
    return SUCCESS;
}

static result vkCreateDevice(handle physical, const void *info, const void *by, handle *to) {
    struct with_link *found = chain(info, DEVICE_LINK);
    if (!found) return NO_START;
    get_function next = found->link->other;
    found->link = found->link->next;
    if (fails(DEVICE, "vkCreateDevice")) return plan->error;
    result done = of_instance(physical)->vkCreateDevice(physical, info, by, to);
    if (done == SUCCESS) {
        next_of_device = next;
        the_device = *to;
        devices++;
        /* A program opens a device again after the loss. */
        if (over && plan->error == LOST) over = 0;
    }
    return done;
}

/* VkPhysicalDeviceProperties begins with four numbers of 32 bits; the type and the name follow. */
static void show(uint32_t *properties) {
    if (properties[4] != ON_CPU) return;
    properties[4] = DISCRETE;
    snprintf((char *)&properties[5], 256, "a GPU with faults");
}
static void vkGetPhysicalDeviceProperties(handle physical, uint32_t *to) {
    of_instance(physical)->vkGetPhysicalDeviceProperties(physical, to);
    show(to);
}
static void vkGetPhysicalDeviceProperties2(handle physical, struct start *to) {
    of_instance(physical)->vkGetPhysicalDeviceProperties2(physical, to);
    show((uint32_t *)(to + 1));
}
static void vkGetPhysicalDeviceProperties2KHR(handle physical, struct start *to) {
    of_instance(physical)->vkGetPhysicalDeviceProperties2KHR(physical, to);
    show((uint32_t *)(to + 1));
}

EXPORT function faults_of_device(handle device, const char *name);
EXPORT function faults_of_instance(handle instance, const char *name);

#define OWN(name) {#name, (function)name}
static const struct own {
    const char *name;
    function call;
} OF_DEVICE[] = {
    OWN(vkCreateBuffer), OWN(vkAllocateMemory), OWN(vkCreateShaderModule), OWN(vkCreateComputePipelines),
    OWN(vkMapMemory), OWN(vkQueueSubmit), OWN(vkWaitSemaphores), OWN(vkWaitSemaphoresKHR), OWN(vkWaitForFences),
    OWN(vkGetFenceStatus), OWN(vkDeviceWaitIdle), OWN(vkQueueWaitIdle), OWN(vkGetSemaphoreCounterValue),
    OWN(vkGetSemaphoreCounterValueKHR), {"vkGetDeviceProcAddr", (function)faults_of_device},
}, OF_INSTANCE[] = {
    OWN(vkCreateInstance), OWN(vkCreateDevice), OWN(vkGetPhysicalDeviceProperties),
    OWN(vkGetPhysicalDeviceProperties2), OWN(vkGetPhysicalDeviceProperties2KHR),
    {"vkGetInstanceProcAddr", (function)faults_of_instance},
    {"vkGetDeviceProcAddr", (function)faults_of_device},
};

static function own(const struct own *all, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(all[i].name, name)) return all[i].call;
    return NULL;
}

/* A function that the driver lacks is not offered. */
EXPORT function faults_of_device(handle device, const char *name) {
    if (!next_of_device) return NULL;
    function real = next_of_device(device, name);
    function mine = own(OF_DEVICE, sizeof OF_DEVICE / sizeof *OF_DEVICE, name);
    return real && mine ? mine : real;
}

EXPORT function faults_of_instance(handle instance, const char *name) {
    function mine = own(OF_INSTANCE, sizeof OF_INSTANCE / sizeof *OF_INSTANCE, name);
    if (!instance || !strcmp(name, "vkCreateInstance")) return mine;
    function real = of_instance(instance)->next(instance, name);
    return real && mine ? mine : real;
}

struct negotiation {
    int32_t type;
    struct start *next;
    uint32_t version;
    get_function instance, device, physical;
};

EXPORT result vkNegotiateLoaderLayerInterfaceVersion(struct negotiation *with) {
    with->version = 2;
    with->instance = faults_of_instance;
    with->device = faults_of_device;
    with->physical = NULL;
    return SUCCESS;
}
